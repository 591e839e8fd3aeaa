"""Strangers at the port for nodes, and what a node demands of its own files."""

import os
import socket
import struct

from bank import Bank, Ledger
from harness import A, Cluster, check, main, same, settings, transfers, until


def field(number, value):
    """A protobuf field: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def frame(sender, receiver, message):
    return (field(1, 1) + field(2, b"test") + field(3, sender) + field(4, receiver) + field(5, b"i" * 16) +
            field(6, b"p" * 16) + field(15, message))


def refusal():
    return field(9, field(1, 3) + field(3, b"n1") + field(6, b"its data directory is foreign"))


def late_vote(sender):
    return field(4, field(1, 2) + field(2, 1 << 40) + field(3, sender) + field(6, 1))


class Stranger:
    """Speaks NNG to a node's port, as whichever node it says."""

    def __init__(self, node):
        host, port = node.peer.replace("tcp://", "").rsplit(":", 1)
        self.s = socket.create_connection((host, int(port)), timeout=10)
        self.s.sendall(b"\0SP\0\0\x30\0\0")
        greeting = b""
        while len(greeting) < 8:
            piece = self.s.recv(8 - len(greeting))
            check(piece, "no greeting from a node")
            greeting += piece

    def say(self, sender, data):
        body = struct.pack(">IQ", 0x80000000, sender) + data
        self.s.sendall(struct.pack(">Q", len(body)) + body)

    def close(self):
        self.s.close()


def elections(c):
    return sum(n.log_text().count("leader.elected") for n in c.nodes)


def test_strangers_are_not_believed():
    """Refusals, late terms and connections that break, all under members' names."""
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        c.start()
        c.apply(settings(A))
        batch = transfers(A, 5)
        ledger.note(batch, c.submit(batch))
        until("all is healthy", lambda: c.cli("status", "--check").returncode == 0)
        before = elections(c)
        for _ in range(20):
            for receiver, node in enumerate(c.nodes, 1):
                for sender in {1, 2, 3} - {receiver}:
                    s = Stranger(node)
                    for message in (refusal(), late_vote(sender)):
                        s.say(sender, frame(sender, receiver, message))
                    s.close()
        batch = transfers(A, 5)
        ledger.note(batch, c.submit(batch))
        for node in c.nodes:
            check("node.refused " not in node.log_text(), f"{node.name} believes a stranger")
            check("peer.refused" not in node.log_text(), f"{node.name} speaks against another node")
        same(elections(c), before, "elections")
        same(c.cli("status", "--check").returncode, 0, "status after the strangers")
        check("identity" not in c.cli("nodes", "list", "--output", "json").stdout, "an identity is shown")
        ledger.settle(c, A, bank)


def test_files_of_a_node_are_its_own():
    with Cluster() as c:
        c.start()
        n1 = c.nodes[0]
        with open(f"/proc/{n1.proc.pid}/limits", encoding="ascii") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        same(core.split()[4:6], ["0", "0"], "limits of a core dump")
        n1.kill()
        for path, mode, words in ((n1.dir, 0o777, "may write into it"), (n1.config, 0o666, "may write to it")):
            right = os.stat(path).st_mode & 0o777
            os.chmod(path, mode)
            mark = n1.log_mark()
            n1.start()
            n1.may_die = True
            check(n1.wait_end() not in (0, -9), f"starts with mode {mode:o} of {path}")
            check(words in n1.log_text()[mark:], f"does not say why: {n1.log_text()[mark:]}")
            os.chmod(path, right)
        n1.start()
        c.wait_up()


if __name__ == "__main__":
    main()
