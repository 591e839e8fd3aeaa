"""Random bits flip in live pages of one node's store, leader or follower, under load
with repeated submissions. Nothing reaches the bank twice, nothing is missing, and
every replica is level in the end, without a person.

BITS: how many (16); SEED: which."""

import os
import random
import struct
import sys
import time

from bank import Bank, Ledger
from harness import A, Cluster, Failure, check, main, same, settings, transfers

BITS = int(os.environ.get("BITS", "16"))
SEED = int(os.environ.get("SEED", "1"))
PAGE = 4096
COUNTED_S = 2.5  # By then each replica has counted its rows.
LEVEL_S = 20  # A replica that is not level by then needs a person.

SIGNS = ("store.damaged", "replica.rebuilding", "replica.differs", "group.failed", "shard.not_opened",
         "node.fatal", "daemon.failed", "catalog.failed", "store.failed")


class Store:
    """LMDB's file, read page by page: which pages does the newest meta page reach?"""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.data = f.read()

    def page(self, number):
        return self.data[number * PAGE:(number + 1) * PAGE]

    def _walk(self, root, pages):
        if root == 2**64 - 1 or root in pages or root * PAGE >= len(self.data):
            return
        page = self.page(root)
        flags, lower = struct.unpack_from("<HH", page, 10)
        pages[root] = flags
        for at in struct.unpack_from(f"<{(lower - 16) // 2}H", page, 16):
            low, high, node_flags, key_size = struct.unpack_from("<HHHH", page, at)
            if flags & 1:  # Branch.
                self._walk(low | high << 16 | node_flags << 32, pages)
            elif node_flags & 1:  # A large value.
                pages[struct.unpack_from("<Q", page, at + 8 + key_size)[0]] = 4
            elif node_flags & 2:  # A table.
                self._walk(struct.unpack_from("<Q", page, at + 8 + key_size + 40)[0], pages)

    def live(self):
        metas = [self.page(i) for i in (0, 1)]
        newest = max(metas, key=lambda m: struct.unpack_from("<Q", m, 16 + 24 + 96 + 8)[0])
        pages = {}
        self._walk(struct.unpack_from("<Q", newest, 16 + 24 + 48 + 40)[0], pages)
        return sorted(pages)


def flip(path, at, bit):
    """In the page cache, which the process has mapped: it reads the bit as the disk gave it."""
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1 << bit]))


def tail(node, mark):
    with open(node.log, encoding="utf-8", errors="replace") as f:
        f.seek(mark)
        return f.read()


def is_level(c):
    try:
        c.hashes_equal(A, limit=0.5)
        return True
    except Failure:
        return False


class Run:
    def __init__(self, c):
        self.c = c
        self.random = random.Random(SEED)
        self.ledger = Ledger()
        self.sent = []
        self.count = {"without effect": 0, "found": 0, "rebuilt": 0, "restarted": 0, "a person": 0}
        self.level_s = []
        self.closed = 0

    def load(self, fresh=8):
        """New ones and again some of the old, as a client that got no answer does."""
        batch = transfers(A, fresh) + self.random.sample(self.sent, min(len(self.sent), 12))
        done = self.c.submit(batch)
        self.ledger.note(batch, done)
        self.sent += batch[:fresh]

    def bit(self, number):
        c = self.c
        leader = c.leader(A)
        node = leader if number % 2 == 0 else self.random.choice(c.others(leader))
        path = os.path.join(node.dir, "lane-0", "data.mdb")
        store = Store(path)
        page = self.random.choice(store.live())
        at = page * PAGE + self.random.randrange(PAGE)
        bit = self.random.randrange(8)
        mark = node.log_mark()
        flip(path, at, bit)
        began = time.monotonic()
        restarts = 0
        self.load()
        if number % 5 == 4:
            c.run("windows", "close", A)
            self.closed += 1
        while time.monotonic() - began < LEVEL_S:
            if not node.alive():
                restarts += 1
                if restarts > 3:
                    break
                node.may_die = True
                node.start()
                time.sleep(0.3)
            elif time.monotonic() - began > COUNTED_S and is_level(c):
                break
            time.sleep(0.1)
        said = tail(node, mark)
        signs = sorted({s for s in SIGNS if s in said})
        if node.alive() and is_level(c):
            kind = "rebuilt" if "replica.rebuilt" in said else "restarted" if restarts else "without effect"
            self.level_s.append(max(0, time.monotonic() - began - COUNTED_S))
        else:
            kind = "a person"  # Who brings a sound disk: here, the same with the bit turned back.
            node.kill()
            flip(path, at, bit)
            node.start()
            c.wait_up(node)
        self.count[kind] += 1
        self.count["found"] += bool(signs)
        print(f"bit {number}: {node.name}{' (leader)' if node is leader else ''} page {page} byte {at % PAGE} "
              f"bit {bit}: {kind} {signs} {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)


def test_bits():
    with Cluster(settings={"scrub_every": "1s"}) as c:
        bank = Bank(c, A)
        c.start()
        c.apply(settings(A))
        run = Run(c)
        for _ in range(20):
            run.load(20)
        for number in range(BITS):
            run.bit(number)
        c.run("windows", "close", A)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and any(f["state"] not in ("uploaded", "verified") for f in c.files(A)):
            time.sleep(0.2)
        run.ledger.settle(c, A, bank)
        c.hashes_equal(A)
        worst = max(run.level_s, default=0)
        print(f"bits {BITS} seed {SEED}: {run.count}, level after {worst:.1f} s at most", file=sys.stderr)
        same(len(c.running()), 3, "nodes that run")


if __name__ == "__main__":
    main()
