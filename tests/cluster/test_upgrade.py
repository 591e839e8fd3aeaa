"""Two programs in one cluster: that of level 1 and this one, upgraded node by node and
back, with payments coming in, files going out and nodes dying all the while.

What is asked at each step: all replicas have one digest, whichever program applied the
log; either program builds and uploads; nothing stops; and at the end the books agree.
"""

import os
import random

from bank import Bank, Ledger, Thief
from earlier import level1
from harness import A, B, Cluster, check, main, same, settings, transfers, until
from test_kills import Client

SEED = int(os.environ.get("SHARDGATE_SEED", random.randrange(10**6)))


class Load:
    """Clients that go on while the block runs."""

    def __init__(self, cluster, ledger, count=2):
        self.clients = [Client(cluster, ledger, SEED + i) for i in range(count)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *error):
        for client in self.clients:
            client.over.set()
        for client in self.clients:
            client.join()
        if error[0] is None:
            for client in self.clients:
                if client.error is not None:
                    raise client.error


def change(c, node, where):
    """The same data directory under another program."""
    node.kill()
    node.bin = where
    node.start()
    c.wait_up(node)


def all_go_on(c):
    """No replica of any program has stopped."""
    for node in c.running():
        for n in c.ask("nodes", "list", to=[node])["nodes"]:
            check(not n["stopped"], f"stopped replicas of {n['name']}, by {node.name}")  # None: not heard yet.
    for aba in (A, B):
        c.hashes_equal(aba)


def send_a_file(c, aba, leader):
    """Built and uploaded by this node; verified by every program as it leads."""
    c.lead(aba, leader)
    before = {f["id"] for f in c.files(aba)}
    c.accept_noted(transfers(aba, 3))
    c.run("windows", "close", aba)

    def out():
        rows = c.files(aba)
        new = [f for f in rows if f["id"] not in before]
        return new if new and all(f["state"] == "uploaded" for f in rows) else None

    rows = until(f"the files of {aba} are out", out, limit=60)
    for node in c.running():
        c.lead(aba, node)
        check(c.ask("files", "verify", rows[0]["id"], "--shard", aba)["ok"], f"verify by {node.name}")


class Noted(Cluster):
    """Notes what the test itself submits."""

    def accept_noted(self, list_):
        self.ledger.note(list_, self.submit(list_))


def levels(c):
    """By the nodes that know of levels."""
    return c.ask("upgrade", "status", to=[n for n in c.running() if n.bin is None])


def test_upgrade_node_by_node_and_back():
    old = level1()
    print(f"        seed {SEED}", flush=True)
    rng = random.Random(SEED)
    with Noted(settings={"trailing_entries": 256}) as c:
        banks = {aba: Bank(c, aba) for aba in (A, B)}
        for bank in banks.values():
            Thief(c, bank)
        c.ledger = Ledger()
        for node in c.nodes:
            node.bin = old
        c.start()
        c.apply(settings(A, B))
        n1, n2, n3 = c.nodes
        with Load(c, c.ledger):
            send_a_file(c, A, n1)
            all_go_on(c)
            change(c, n1, None)
            send_a_file(c, A, n1)
            send_a_file(c, B, n2)
            all_go_on(c)
            found = levels(c)
            same((found["level"], found["target"], found["state"]), (1, 2, "waits"), "with one of three upgraded")
            check("upgrade it first" in found["waits_for"], f"waits for {found['waits_for']}")
            c.run("upgrade", "finalize", status=1, to=[n1])
            check("runs version 0.1.0" in c.cli("status", to=[n1]).stdout, "status tells of versions that differ")
            rng.choice(c.nodes).kill()  # Of either program.
            for node in c.nodes:
                if not node.alive():
                    node.start()
                    c.wait_up(node)
            change(c, n2, None)
            send_a_file(c, B, n3)
            change(c, n1, old)  # Back: what the new program wrote the old one reads.
            send_a_file(c, A, n1)
            all_go_on(c)
            change(c, n1, None)
            change(c, n3, None)
            all_go_on(c)
            same(levels(c)["level"], 1, "before it is finalized")
            c.run("upgrade", "finalize")
            until("both shards stand at level 2",
                  lambda: all(c.ask("shards", "show", aba).get("level") == 2 for aba in (A, B)))
            for aba, leader in ((A, n3), (B, n1)):
                send_a_file(c, aba, leader)
            c.leader(A).kill()
            until("A goes on", lambda: c.cli("transfers", "list", A, "--limit", 1).returncode == 0)
        for node in c.nodes:
            if not node.alive():
                node.start()
        c.wait_up()
        all_go_on(c)
        for aba, bank in banks.items():
            c.run("windows", "close", aba)
            until(f"nothing pending for {aba}", lambda a=aba: c.ask("shards", "show", a)["pending"]["entries"] == 0)
            until(f"all files of {aba} uploaded", lambda a=aba: {f["state"] for f in c.files(a)} == {"uploaded"}, limit=60)
            c.ledger.settle(c, aba, bank)
            for row in c.files(aba):
                check(c.ask("files", "verify", row["id"], "--shard", aba)["ok"], f"verify of {row['name']}")
        same(c.cli("status", "--check").returncode, 0, "status at the end")
        print(f"        {len(c.ledger.accepted)} transfers", flush=True)


if __name__ == "__main__":
    main()
