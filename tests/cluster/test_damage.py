"""A damaged record stops its shard on that node, with a clear message. It is
never served, and the rest goes on."""

import os
import subprocess

from bank import Bank, Ledger
from harness import A, B, Cluster, check, main, same, settings, transfers, until


def flip(path, text):
    """Flips one bit in each copy of text in the file; returns how many."""
    with open(path, "r+b") as f:
        data = f.read()
        at = data.find(text)
        count = 0
        while at >= 0:
            f.seek(at)
            f.write(bytes([data[at] ^ 1]))
            count += 1
            at = data.find(text, at + 1)
    return count


def store(node):
    return os.path.join(node.dir, "lane-0", "data.mdb")


def test_damaged_record():
    with Cluster() as c:
        banks = {aba: Bank(c, aba) for aba in (A, B)}
        ledger = Ledger()
        c.start()
        c.apply(settings(A, B))
        for aba in (A, B):
            batch = transfers(aba, 10)
            ledger.note(batch, c.submit(batch))
        victim = [t for t in ledger.accepted.values() if t["routing_number"] == A][4]
        c.hashes_equal(A)
        c.hashes_equal(B)
        node = c.others(c.leader(A))[0]
        others = c.others(node)
        node.terminate()
        same(node.wait_end(), 0, "status after SIGTERM")
        # The transfer lies in the log and in the state.
        check(flip(store(node), victim["id"].encode()) >= 2, "the record was not found in the store")

        # Offline: a line of the report, status 6, no crash.
        done = c.cli("transfers", "list", A, "--data-dir", node.dir)
        same(done.returncode, 6, f"offline reading of a damaged record: {done.stdout}{done.stderr}")
        check("damage" in done.stderr or "checksum" in done.stderr, f"the reason: {done.stderr}")
        check(c.ask("transfers", "list", B, "--data-dir", node.dir)["transfers"], "the other shard, offline")

        node.start()
        c.wait_up(node)
        # It can't lead A with what it has; whatever it is asked, it never
        # gives a wrong answer, and says what is wrong.
        done = c.cli("leader", "transfer", A, "--to", node.name)
        batch = transfers(A, 5) + transfers(B, 5)
        ledger.note(batch, c.submit(batch))
        said = until("the node says that A has stopped there", lambda: (
            t := [x for x in c.ask("status", to=[node])["attention"] if x["subject"] == A]) and t[0]["text"])
        check("damage" in said or "checksum" in said or "corrupt" in said, f"status says: {said}")
        check(node.alive(), "the whole node ended")
        for aba in (A, B):
            c.run("windows", "close", aba, to=others)
            c.wait_files(aba, "uploaded")
            ledger.settle(c, aba, banks[aba])
        check(c.leader(A, among=others) in others, "a damaged replica leads")
        c.hashes_equal(B)


def test_damaged_meta_page():
    """A store that is no store any more: the node does not start, and says so."""
    with Cluster() as c:
        c.start()
        c.apply(settings(A))
        c.leader(A)
        node = c.nodes[2]
        node.kill()
        with open(store(node), "r+b") as f:
            f.write(b"\0" * 8192)
        mark = node.log_mark()
        node.start()
        node.may_die = True
        try:
            status = node.proc.wait(30)
        except subprocess.TimeoutExpired:
            status = 0
        check(status > 0, f"a node on a destroyed store: status {status}")
        check("lane-0" in node.log_text()[mark:], "the log does not name the store")
        Bank(c, A)
        c.accept(transfers(A, 3), to=c.others(node))


def test_store_moved_away():
    """What a node acknowledged must be there when it starts again: one whose store
    is moved or deleted ends, with traffic and without."""
    with Cluster() as c:
        c.start()
        c.apply(settings(A))
        node = c.leader(A)
        place = os.path.join(node.dir, "lane-0")
        mark = node.log_mark()
        node.may_die = True
        os.rename(place, place + ".away")
        same(node.proc.wait(30), 1, "status of a node whose store was moved away")
        check("moved or deleted" in node.log_text()[mark:], "the log does not say so")
        c.accept(transfers(A, 3), to=c.others(node))

        os.rename(place + ".away", place)
        node.start()
        c.wait_up(node)
        c.hashes_equal(A)


if __name__ == "__main__":
    main()
