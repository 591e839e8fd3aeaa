"""A node that was away while the others trimmed their logs catches up by a
snapshot, and ends with the same state."""

from bank import Bank, Ledger
from harness import A, B, Cluster, check, main, same, settings, transfers, until
from port import Port

TRAILING = 256  # The least that may be kept.


def many_entries(c, ledger, count):
    """Each submission is awaited, so each is one entry of the log."""
    port = Port(c.leader(A))
    for _ in range(count):
        batch = transfers(A, 2)
        error, results = port.submit(batch)
        same(error, "", "submission")
        ledger.note(batch, results)
    port.close()


def bounds(c, node):
    dump = c.ask("log", "dump", A, "--limit", 1, to=[node])
    return dump["first"], dump["last"]


def test_snapshot_to_a_node_that_was_away():
    with Cluster(settings={"trailing_entries": TRAILING}) as c:
        bank = Bank(c, A)
        Bank(c, B)
        ledger = Ledger()
        c.start()
        c.apply(settings(A, B))
        many_entries(c, ledger, 5)
        away = c.others(c.leader(A))[0]
        at = c.hashes_equal(A)
        away.kill()
        for round_number in range(6):
            many_entries(c, ledger, TRAILING)
            c.run("windows", "close", A)
            c.wait_files(A, "uploaded", count=round_number + 1)
            first = [bounds(c, node)[0] for node in c.running()]
            if min(first) > at + 1:
                break
        check(min(first) > at + 1, f"the others did not trim their logs: first entries {first}, away at {at}")
        away.start()
        c.wait_up(away)
        c.hashes_equal(A)
        check(bounds(c, away)[0] > at + 1, "it caught up from the log, not by a snapshot")
        # It is a full member again: with it and one other there is a quorum.
        other = c.others(away)[0]
        other.kill()
        many_entries(c, ledger, 3)
        other.start()
        c.wait_up(other)
        # And it leads, building the next file from what the snapshot brought.
        c.lead(A, away)
        before = len(bank.files())
        c.run("windows", "close", A)
        c.wait_files(A, "uploaded", count=before + 1)
        same(max(c.files(A), key=lambda f: f["id"])["built_by"], away.name, "who built the next file")
        ledger.settle(c, A, bank)
        c.hashes_equal(A)


def test_snapshot_to_a_node_killed_meanwhile():
    """Killed while it takes the snapshot in, it begins anew."""
    with Cluster(settings={"trailing_entries": TRAILING}) as c:
        bank = Bank(c, A)
        ledger = Ledger()
        c.start()
        c.apply(settings(A))
        away = c.others(c.leader(A))[0]
        at = c.hashes_equal(A)
        away.kill()

        def trimmed():
            many_entries(c, ledger, TRAILING)
            return min(bounds(c, node)[0] for node in c.running()) > at + 1

        until("the others trimmed their logs", trimmed)
        away.start(fault="engine.before-install=kill")
        same(away.wait_end(), -9, "end within the installation")
        away.start()
        c.wait_up(away)
        c.hashes_equal(A)
        ledger.settle(c, A, bank)


if __name__ == "__main__":
    main()
