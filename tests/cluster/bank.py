"""The bank's side: its directories, a process that takes files away at once,
and a reader of what it was given."""

import collections
import ctypes
import os
import select
import struct
import threading

from harness import check, same

_libc = ctypes.CDLL(None, use_errno=True)
IN_MOVED_TO = 0x80
IN_CREATE = 0x100

Entry = collections.namedtuple("Entry", "code rdfi account amount id name trace")


class AchFile:
    """What a bank reads: records of 94 characters. Everything that can be added
    up is, and must agree with the controls."""

    def __init__(self, name, data):
        self.name = name
        self.data = data
        lines = data.decode("ascii").split("\n")
        same(lines.pop(), "", f"{name}: the last line end")
        check(lines and all(len(line) == 94 for line in lines), f"{name}: lines of 94 characters")
        same(len(lines) % 10, 0, f"{name}: lines over blocks of ten")
        filler = [line for line in lines if line == "9" * 94]
        lines = [line for line in lines if line != "9" * 94]
        check(lines[0][0] == "1" and lines[-1][0] == "9" and len(filler) < 10, f"{name}: header, control, filler")
        self.entries = [self._entry(line) for line in lines if line[0] == "6"]
        self.debit = sum(e.amount for e in self.entries if e.code in ("27", "37", "47"))
        self.credit = sum(e.amount for e in self.entries if e.code in ("22", "32", "42", "52"))
        self._check_control(lines, len(filler))

    @staticmethod
    def _entry(line):
        return Entry(line[1:3], line[3:12], line[12:29].strip(), int(line[29:39]), line[39:54].strip(),
                     line[54:76].strip(), line[79:94])

    def _check_control(self, lines, filler):
        control = lines[-1]
        addenda = sum(line[0] == "7" for line in lines)
        entry_hash = sum(int(e.rdfi[:8]) for e in self.entries) % 10**10
        found = [int(control[a:b]) for a, b in ((1, 7), (7, 13), (13, 21), (21, 31), (31, 43), (43, 55))]
        wanted = [sum(line[0] == "5" for line in lines), (len(lines) + filler) // 10,
                  len(self.entries) + addenda, entry_hash, self.debit, self.credit]
        same(found, wanted, f"{self.name}: batches, blocks, entries, hash, debit, credit")
        traces = [e.trace for e in self.entries]
        same(len(set(traces)), len(traces), f"{self.name}: different trace numbers")


class Bank:
    """The directories of one routing number's endpoint (harness.settings)."""

    def __init__(self, cluster, aba):
        self.dir = os.path.join(cluster.dir, "bank", aba)
        self.inbox = os.path.join(self.dir, "inbox")
        self.staging = os.path.join(self.dir, "staging")
        self.taken = os.path.join(self.dir, "taken")
        for path in (self.inbox, self.staging, self.taken):
            os.makedirs(path, exist_ok=True)

    def files(self):
        """All that ever came, taken away or not, in order of coming."""
        found = []
        for place in (self.taken, self.inbox):
            for name in sorted(os.listdir(place)):
                with open(os.path.join(place, name), "rb") as f:
                    found.append(AchFile(name.partition("~")[2] if place == self.taken else name, f.read()))
        return found

    def parts(self):
        """Sizes of staged copies, whole or not."""
        sizes = {}
        for name in os.listdir(self.staging):
            if name.endswith(".part"):
                try:
                    sizes[name] = os.path.getsize(os.path.join(self.staging, name))
                except FileNotFoundError:
                    pass  # Renamed meanwhile.
        return sizes

    def one(self):
        """The single file that came."""
        files = self.files()
        same(len(files), 1, f"files at the bank {[f.name for f in files]}")
        return files[0]


class Thief:
    """Takes every file away the moment it appears, as banks do. A name that
    comes twice is kept twice."""

    def __init__(self, cluster, bank):
        self.bank = bank
        self.count = 0
        self.fd = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        check(self.fd >= 0, "inotify is not available")
        check(_libc.inotify_add_watch(self.fd, bank.inbox.encode(), IN_MOVED_TO | IN_CREATE) >= 0, "no watch")
        self.wake, self.waker = os.pipe()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        cluster.watched.append(self)

    def _take(self, name):
        try:
            os.rename(os.path.join(self.bank.inbox, name),
                      os.path.join(self.bank.taken, f"{self.count:04d}~{name}"))
            self.count += 1
        except FileNotFoundError:
            pass  # Somebody took it back: the test's own checks will tell.

    def _run(self):
        while True:
            ready, _, _ = select.select([self.fd, self.wake], [], [])
            if self.wake in ready:
                return
            data = os.read(self.fd, 65536)
            at = 0
            while at < len(data):
                size = struct.unpack_from("iIII", data, at)[3]
                self._take(data[at + 16:at + 16 + size].rstrip(b"\0").decode())
                at += 16 + size

    def close(self):
        os.write(self.waker, b"x")
        self.thread.join()
        for fd in (self.fd, self.wake, self.waker):
            os.close(fd)


class Ledger:
    """The client's own record of what it was promised, against the bank."""

    def __init__(self):
        self.accepted = {}
        self.cancelled = set()

    def note(self, transfers, results):
        """All of a submission's answers; a fold means an earlier acceptance."""
        for transfer, result in zip(transfers, results):
            same(result["id"], transfer["id"], "the id of a result")
            check(result["outcome"] in ("accepted", "folded"), f"outcome of {result}")
            self.accepted[transfer["id"]] = transfer

    def settle(self, cluster, aba, bank):
        """accepted = in files + pending + cancelled, one by one, in count and in
        cents; nothing twice; the cluster's own books say the same."""
        mine = {i: t for i, t in self.accepted.items() if t["routing_number"] == aba}
        entries = [e for f in bank.files() for e in f.entries]
        in_files = {e.id: e for e in entries}
        same(len(in_files), len(entries), "entries at the bank, each once")
        pending = set()
        after = 0
        while True:
            page = cluster.ask("transfers", "list", aba, "--state", "pending", "--limit", 10000, "--from", after)
            pending.update(t["id"] for t in page["transfers"])
            after = page["next"]
            if not after:
                break
        cancelled = {i for i in self.cancelled if i in mine}
        same(sorted(set(mine) - set(in_files) - pending - cancelled), [], "accepted and lost")
        same(sorted(set(in_files) & pending), [], "at the bank and still pending")
        same(sorted((set(in_files) | pending) & cancelled), [], "cancelled and still there")
        same(sorted((set(in_files) | pending) - set(mine)), [], "at the bank or pending and never accepted")
        for i, entry in in_files.items():
            same(entry.amount, mine[i]["amount"], f"cents of {i}")
        self._compare_books(cluster, aba, mine, in_files, pending, cancelled)

    @staticmethod
    def _compare_books(cluster, aba, mine, in_files, pending, cancelled):
        books = cluster.ask("shards", "show", aba)["totals"]

        def totals(ids):
            chosen = [mine[i] for i in ids]
            return {"entries": len(chosen),
                    "debit_cents": sum(t["amount"] for t in chosen if t["side"] == "debit"),
                    "credit_cents": sum(t["amount"] for t in chosen if t["side"] == "credit")}

        same(books["accepted"], totals(mine), "accepted by the shard's counters")
        same(books["in_files"], totals(in_files), "in files by the shard's counters")
        same(books["cancelled"], totals(cancelled), "cancelled by the shard's counters")
        found = cluster.ask("shards", "show", aba)["pending"]
        same(found, totals(pending), "pending by the shard's counters")
