"""Random kills under load, then the sum: accepted = in files + pending, one by
one and in cents, nothing twice.

    test_kills.py [--kills N] [--seed N] [--verbose]       also SHARDGATE_KILLS, SHARDGATE_SEED

Three clients submit to two routing numbers without a break and repeat what got
no answer; windows close by hand, and for one of the two also at a cut-off time
that comes during the run; thieves empty the banks. Meanwhile nodes are killed,
all three at once now and then, or paused and resumed. N is the least number of
kills; they go on until the cut-off has come.
"""

import json
import os
import random
import sys
import threading
import time

from bank import Bank, Ledger, Thief
from harness import A, B, Cluster, check, main, same, settings, transfer, until

CLIENTS = 3


def option(name, environment, fallback):
    if name in sys.argv:
        at = sys.argv.index(name)
        value = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
        return value
    return int(os.environ.get(environment, fallback))


VERBOSE = "--verbose" in sys.argv
KILLS = option("--kills", "SHARDGATE_KILLS", 200)
SEED = option("--seed", "SHARDGATE_SEED", random.randrange(10**6))


class Client(threading.Thread):
    """Submits batch after batch with the tool and keeps its own record. A batch
    without an answer is repeated as it is until it has one."""

    def __init__(self, cluster, ledger, seed):
        super().__init__()
        self.cluster, self.ledger = cluster, ledger
        self.random = random.Random(seed)
        self.over = threading.Event()
        self.error = None
        self.repeats = 0
        self.longest = 0.0

    def batch(self):
        return [transfer(self.random.choice((A, B)), side=self.random.choice(("credit", "debit")),
                         amount=self.random.randrange(1, 10**6)) for _ in range(self.random.randrange(1, 20))]

    def settle(self, batch):
        """True: every transfer has its answer."""
        begun = time.monotonic()
        done = self.cluster.cli("transfers", "submit", "-", "-o", "json", to=self.cluster.nodes,
                                given="".join(json.dumps(t) + "\n" for t in batch))
        self.longest = max(self.longest, time.monotonic() - begun)
        if done.returncode in (3, 5):
            self.repeats += 1
            return False
        check(done.returncode == 0, f"submit: status {done.returncode}: {done.stdout[-300:]}{done.stderr[:4000]}")
        self.ledger.note(batch, json.loads(done.stdout)["results"])
        return True

    def run(self):
        try:
            while not self.over.is_set():
                batch = self.batch()
                while not self.settle(batch):
                    pass
        except Exception as error:  # For the main thread to raise.
            self.error = error


# A day has 36 file ID modifiers; the cut-off and the end need some of them.
CLOSES_BY_HAND = 30
closes = 0


def close_one(c, rng):
    global closes
    if closes < CLOSES_BY_HAND:
        closes += 1
        c.cli("windows", "close", rng.choice((A, B)), "--timeout", "3s")


def kill_one(c, rng):
    node = rng.choice(c.nodes)
    node.kill()
    if rng.random() < 0.5:
        close_one(c, rng)
    node.start()
    c.wait_up(node)


def kill_leader(c, rng):
    node = c.leader(rng.choice((A, B)))
    close_one(c, rng)
    node.kill()
    node.start()
    c.wait_up(node)


def kill_all(c, rng):
    for node in c.nodes:
        node.kill_fast()
    for node in c.nodes:
        node.wait_end()
    for node in rng.sample(c.nodes, 3):
        node.start()
    c.wait_up()


def pause_leader(c, rng):
    node = c.leader(rng.choice((A, B)))
    node.pause()
    until("another leader of both", lambda: all(c.leader(x, among=c.others(node)) for x in (A, B)))
    close_one(c, rng)
    node.resume()
    c.wait_up(node)


def cut_off_ahead():
    """The next full minute that is at least 5 s away, as seconds since 1970."""
    at = time.time() + 5
    return at - at % 60 + 60


def finish(c, banks, ledger):
    """All faults have healed: everything due goes out, and the books agree."""
    for node in c.nodes:
        if not node.alive():
            node.start()
    c.wait_up()
    check_cut_off(c, "NOW")
    for aba, bank in banks.items():
        c.run("windows", "close", aba)
        # Sealed first: until then the last file is not among those that are uploaded.
        until(f"nothing pending for {aba}", lambda a=aba: c.ask("shards", "show", a)["pending"]["entries"] == 0)
        until(f"all files of {aba} uploaded", lambda a=aba: {f["state"] for f in c.files(a)} == {"uploaded"}, limit=120)
        ledger.settle(c, aba, bank)
        rows = c.files(aba)
        found = bank.files()
        same(sorted(f.name for f in found), sorted(r["name"] for r in rows), f"files at the bank of {aba}")
        for row in rows[-3:]:
            check(c.ask("files", "verify", row["id"], "--shard", aba)["ok"], f"verify of {row['name']}")
        c.hashes_equal(aba)


def check_cut_off(c, name):
    """The window with a time of its own closed once, by the clock."""

    def closed():
        rows = [w for w in c.ask("windows", "list", B)["windows"] if w["name"] == name]
        return rows if rows and rows[0]["state"] == "sealed" else None

    rows = until(f"window {name} is sealed", closed, limit=90)
    same((len(rows), rows[0]["manual"]), (1, False), f"window {name}")


def strike(c, rng, cut_off):
    """At least so many times, and until the cut-off has passed."""
    deeds = [kill_one, kill_leader, kill_leader, kill_leader, kill_all, pause_leader]
    number = 0
    while number < KILLS or time.time() < cut_off + 1:
        number += 1
        deed = rng.choice(deeds)
        begun = time.monotonic()
        deed(c, rng)
        if VERBOSE:
            print(f"        {number} {deed.__name__} {time.monotonic() - begun:.2f} s", flush=True)
        c.check_alive()
        if number % 50 == 0:
            print(f"        {number} kills", flush=True)
    return number


def test_random_kills():
    print(f"        seed {SEED}", flush=True)
    rng = random.Random(SEED)
    with Cluster(settings={"trailing_entries": 256}) as c:
        banks = {aba: Bank(c, aba) for aba in (A, B)}
        for bank in banks.values():
            Thief(c, bank)
        ledger = Ledger()
        c.start()
        cut_off = cut_off_ahead()
        c.apply(settings(A, B, rate="16KiB/s", windows={B: [("NOW", time.strftime("%H:%M", time.gmtime(cut_off)))]}))
        clients = [Client(c, ledger, SEED + i) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            kills = strike(c, rng, cut_off)
        finally:
            for client in clients:
                client.over.set()
            for client in clients:
                client.join()
        for client in clients:
            if client.error is not None:
                raise client.error
        finish(c, banks, ledger)
        print(f"        {kills} kills; {len(ledger.accepted)} transfers in {sum(len(b.files()) for b in banks.values())} files, "
              f"{sum(client.repeats for client in clients)} batches repeated; "
              f"longest wait {max(client.longest for client in clients):.1f} s")


if __name__ == "__main__":
    main()
