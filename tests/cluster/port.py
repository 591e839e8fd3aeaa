"""One connection to a node's client port, by hand: the SP handshake of a
requester, length-prefixed messages, protobuf (proto/client.proto).

The tool repeats what fails and hides where it happened. This does not: one
request to one node, and its answer or the broken connection.
"""

import socket
import struct

SUBMIT = 8  # REQUEST_SUBMIT in proto/client.h.
SECS = {"PPD": 1, "CCD": 2}
SIDES = {"credit": 1, "debit": 2}
ACCOUNTS = {"checking": 1, "savings": 2}
OUTCOMES = {1: "accepted", 2: "folded", 3: "rejected"}


def _varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _number(field, n):
    return _varint(field << 3) + _varint(n)


def _bytes(field, value):
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _transfer(t):
    return b"".join([
        _number(1, 1), _bytes(2, t["id"]), _number(3, int(t["routing_number"])), _bytes(4, t["originator"]),
        _number(5, SECS[t["sec"]]), _bytes(6, t["entry_description"]), _number(7, SIDES[t["side"]]),
        _number(8, ACCOUNTS[t["account_type"]]), _number(9, int(t["rdfi"])), _bytes(10, t["account"]),
        _number(11, t["amount"]), _bytes(12, t["name"]), _bytes(13, t["individual_id"])])


def _fields(data):
    """(number, value) of each field; value is an integer or bytes."""
    at = 0

    def varint():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            size = varint()
            at += size
            yield key >> 3, data[at - size:at]


class Port:
    """Raises OSError when the connection breaks or nothing comes in time."""

    def __init__(self, node, timeout=15):
        host, _, port = node.client.removeprefix("tcp://").partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(b"\0SP\0\0\x30\0\0")
        self._read(8)
        self.serial = 0

    def _read(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionResetError("closed by the node")
            data += piece
        return data

    def call(self, body):
        self.serial += 1
        tag = struct.pack(">I", 0x80000000 | self.serial)
        self.socket.sendall(struct.pack(">Q", 4 + len(body)) + tag + body)
        while True:
            message = self._read(struct.unpack(">Q", self._read(8))[0])
            if message[:4] == tag:
                return message[4:]

    def submit(self, transfers, timeout_ms=10000):
        """(error name or "", results)."""
        first = transfers[0]
        request = [_number(1, 1), _number(2, SUBMIT), _number(3, int(first["routing_number"])), _number(4, timeout_ms)]
        request += [_bytes(6, _transfer(t)) for t in transfers]
        error, results = "", []
        for number, value in _fields(self.call(b"".join(request))):
            if number == 2:
                error = value.decode()
            elif number == 7:
                result = dict(_fields(value))
                results.append({"id": result[1].decode(), "outcome": OUTCOMES[result[3]], "index": result.get(4, 0)})
        return error, results

    def close(self):
        self.socket.close()
