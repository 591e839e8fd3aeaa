"""How a cluster comes to be, survives restarts in any order, and refuses
whoever comes back without its disk."""

import itertools
import os
import shutil

from bank import Bank, Ledger
from harness import A, Cluster, check, main, same, settings, transfers, until


def formed(node):
    return "cluster.formed" in node.log_text()


def test_formed_once_all_have_met():
    """Two of three must not found a cluster without the third."""
    with Cluster() as c:
        n1, n2, n3 = c.nodes
        n3.start()
        n1.start()
        n1.wait_log("peer.up")
        n3.wait_log("peer.up")
        check(not formed(n1) and not formed(n3), "formed without n2")
        check(c.ping(n1).startswith("DOWN test/n1 "), f"ping of a forming node: {c.ping(n1)}")
        n2.start()
        c.wait_up()
        # A second founding would write a second table.
        for node in c.nodes:
            same(node.log_text().count("cluster.formed"), 1, f"foundings by {node.name}")


def test_restarts_in_any_order():
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        c.start()
        c.apply(settings(A))
        for order in itertools.permutations(range(3)):
            batch = transfers(A, 5)
            ledger.note(batch, c.submit(batch))
            for node in c.nodes:
                node.kill()
            for i in order:
                c.nodes[i].start()
            c.wait_up()
        ledger.note(batch, c.submit(batch))  # Folds.
        ledger.settle(c, A, bank)
        c.hashes_equal(A)
        for node in c.nodes:
            same(node.log_text().count("cluster.formed"), 1, f"foundings by {node.name}")


def test_lost_disk_is_refused():
    """A node with an empty directory must not vote under its old name; the
    others go on; the old directory makes it whole again."""
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        c.start()
        c.apply(settings(A))
        batch = transfers(A, 20)
        ledger.note(batch, c.submit(batch))
        lost = c.nodes[0]
        lost.kill()
        os.rename(lost.dir, lost.dir + ".lost")
        lost.start()
        lost.wait_log("node.refused")
        down = until("ping says DOWN", lambda: (p := c.ping(lost)).startswith("DOWN test/n1 ") and p)
        check("data directory" in down, f"ping does not say why: {down}")
        same(c.cli("ping", lost.client).returncode, 1, "status of a ping to a refused node")
        others = c.others(lost)
        batch = transfers(A, 20)
        ledger.note(batch, c.submit(batch, to=others))
        check(c.leader(A, among=others) in others, "a refused node leads")
        lost.kill()
        shutil.rmtree(lost.dir)
        os.rename(lost.dir + ".lost", lost.dir)
        lost.start()
        c.wait_up()
        c.hashes_equal(A)
        ledger.settle(c, A, bank)


def test_foreign_disk_does_not_start():
    with Cluster() as c:
        c.start()
        n1, n2, _ = c.nodes
        n1.kill()
        n2.kill()
        c.write_config(n1, data_dir="n2")
        mark = n1.log_mark()
        n1.may_die = True
        n1.start()
        n1.may_die = True
        check(n1.wait_end() not in (0, -9), "n1 runs on the directory of n2")
        check("was made for test/n2" in n1.log_text()[mark:], "the log does not say whose directory it is")


def test_other_founders_are_refused():
    """A node whose configuration names other members cannot join."""
    with Cluster() as c:
        n1, n2, n3 = c.nodes
        with open(n3.config, encoding="utf-8") as f:
            text = f.read()
        with open(n3.config, "w", encoding="utf-8") as f:
            f.write(text.replace("  n2: {", "  n4: {"))
        for node in c.nodes:
            node.start()
        line = n1.wait_log("peer.stranger")
        check("founding members" in line, line)
        check(not formed(n1) and not formed(n2), "formed with a stranger")


if __name__ == "__main__":
    main()
