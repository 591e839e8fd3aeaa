"""A leader that is paused during the upload and resumed later, with a bank
that takes files away at once; and files that nobody wants any more."""

import os

from bank import Bank, Ledger, Thief
from harness import A, Cluster, check, main, same, settings, transfers, until

# Where a leader freezes by itself.
POINTS = ["upload.claimed", "upload.witness", "upload.staging", "upload.put", "upload.staged",
          "upload.before-rename", "upload.renamed", "upload.before-uploaded"]


def wake(c, node):
    """Back among the living: it follows and does no harm."""
    mark = node.log_mark()
    node.resume()
    c.wait_up(node)
    c.hashes_equal(A)
    check("upload.uploaded" not in node.log_text()[mark:], "a deposed leader recorded an upload")


def upload_and_freeze(c, bank, ledger, freeze):
    """freeze(leader) returns once the leader stands still in its upload."""
    before = len(bank.files())
    leader = c.leader(A)
    batch = transfers(A, 40)
    ledger.note(batch, c.submit(batch))
    c.run("windows", "close", A)
    freeze(leader)
    leader.paused = True
    others = c.others(leader)
    new = until("another leader", lambda: (n := c.leader(A, among=others)) is not leader and n)
    c.wait_files(A, "uploaded", count=before + 1)
    same(len(bank.files()), before + 1, "files at the bank while the old leader stands still")
    # The window after it goes its way, too, before the old leader wakes.
    late = transfers(A, 3)
    ledger.note(late, c.submit(late))
    wake(c, leader)
    same(len(bank.files()), before + 1, "files at the bank after the old leader woke")
    same(sorted(e.id for e in bank.files()[-1].entries)[-40:], [t["id"] for t in batch], "entries")
    return new


def test_paused_in_the_middle_of_the_data():
    """SIGSTOP from outside, while the staged copy grows under the rate limit."""
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        Thief(c, bank)
        c.start()
        c.apply(settings(A, rate="4KiB/s"))

        def freeze(leader):
            known = set(bank.parts())
            until("a part grows", lambda: [s for n, s in bank.parts().items() if n not in known and s > 1000])
            leader.pause()

        for _ in range(2):
            upload_and_freeze(c, bank, ledger, freeze)
        ledger.settle(c, A, bank)
        until("the staged copies of the deposed are gone", lambda: not bank.parts())


def test_paused_at_each_step():
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        Thief(c, bank)
        c.start()
        c.apply(settings(A))
        n1 = c.nodes[0]
        for point in POINTS:
            n1.terminate()
            same(n1.wait_end(), 0, "status after SIGTERM")
            n1.start(fault=f"{point}=stop")
            c.wait_up(n1)
            c.lead(A, n1)
            upload_and_freeze(c, bank, ledger, lambda leader: until("frozen", leader.is_frozen))
        ledger.settle(c, A, bank)


def test_two_leaders_paused_before_the_rename():
    """Two of three freeze with the rename in hand, so nothing can be committed;
    then all wake and push the same staged copy."""
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        Thief(c, bank)
        for node in c.nodes:
            node.start(fault="upload.before-rename=stop")
        c.wait_up()
        c.apply(settings(A))
        batch = transfers(A, 12)
        ledger.note(batch, c.submit(batch))
        c.run("windows", "close", A)
        until("two leaders frozen", lambda: sum(n.is_frozen() for n in c.nodes) >= 2)
        same(bank.files(), [], "files before any rename")
        for node in c.nodes:
            node.resume()
        until("delivered", lambda: any(n.resume() or c.files(A, to=[n])[0]["state"] == "uploaded" for n in c.nodes),
              every=0.2)
        same(len(bank.one().entries), len(batch), "entries")
        ledger.settle(c, A, bank)


def test_cancel_of_a_staged_file():
    """Whoever moves the staged copy first wins; here nobody can deliver before
    the operator says no."""
    with Cluster() as c:
        bank = Bank(c, A)
        c.start()
        c.apply(settings(A))
        n1 = c.nodes[0]
        n1.terminate()
        same(n1.wait_end(), 0, "status after SIGTERM")
        n1.start(fault="upload.staged=stop")
        c.wait_up(n1)
        c.lead(A, n1)
        c.accept(transfers(A, 12))
        c.run("windows", "close", A)
        until("frozen", n1.is_frozen, every=0.005)
        os.rename(bank.inbox, bank.inbox + ".away")
        n1.paused = True
        row = c.wait_files(A, "staged")[0]
        c.leader(A, among=c.others(n1))
        until("the trouble shows", lambda: c.ask("shards", "show", A)["uploads"][0]["failures"] > 0)
        c.run("files", "cancel", row["id"], "--shard", A, "--reason", "wrong file")
        os.rename(bank.inbox + ".away", bank.inbox)
        c.wait_files(A, "abandoned")
        wake(c, n1)
        same(bank.files(), [], "files at the bank")
        same(c.files(A)[0]["state"], "abandoned", "state in the end")


def test_somebody_elses_file_at_the_bank():
    """A file of that name is there already: HOLD, and a person decides."""
    with Cluster() as c:
        bank = Bank(c, A)
        c.start()
        c.apply(settings(A, rate="4KiB/s"))
        c.accept(transfers(A, 40))
        c.run("windows", "close", A)
        row = c.wait_files(A, "claimed")[0]
        foreign = os.path.join(bank.inbox, row["name"])
        with open(foreign, "w", encoding="ascii") as f:
            f.write("not ours\n")
        c.wait_files(A, "hold")
        with open(foreign, encoding="ascii") as f:
            same(f.read(), "not ours\n", "the other's file")
        check(any(A in a["subject"] for a in c.ask("status")["attention"]), "status does not tell")
        resolve = ("files", "resolve", row["id"], "--shard", A, "--as", "abandoned")
        check(c.cli(*resolve).returncode != 0, "resolved without a reason")
        c.run(*resolve, "--reason", "asked the bank")
        c.wait_files(A, "abandoned")


def test_resolve_and_a_paused_leader():
    """The operator says that a held file is abandoned while a leader stands
    still right before its rename: what it still sends finds nothing to move."""
    with Cluster() as c:
        bank = Bank(c, A)
        c.start()
        c.apply(settings(A))
        n1 = c.nodes[0]
        n1.terminate()
        same(n1.wait_end(), 0, "status after SIGTERM")
        n1.start(fault="upload.before-rename=stop")
        c.wait_up(n1)
        c.lead(A, n1)
        c.accept(transfers(A, 12))
        c.run("windows", "close", A)
        until("frozen", n1.is_frozen, every=0.005)
        os.rename(bank.inbox, bank.inbox + ".away")  # Until the stranger's file is in it.
        n1.paused = True
        row = c.wait_files(A, "staged")[0]
        c.leader(A, among=c.others(n1))
        with open(os.path.join(bank.inbox + ".away", row["name"]), "w", encoding="ascii") as f:
            f.write("not ours\n")
        os.rename(bank.inbox + ".away", bank.inbox)
        c.wait_files(A, "hold")
        same(len(bank.parts()), 1, "staged copies while on hold")
        os.remove(os.path.join(bank.inbox, row["name"]))
        c.run("files", "resolve", row["id"], "--shard", A, "--as", "abandoned", "--reason", "asked the bank")
        c.wait_files(A, "abandoned")
        same(bank.parts(), {}, "staged copies after the end")
        wake(c, n1)
        same(bank.files(), [], "files at the bank")
        same(c.files(A)[0]["state"], "abandoned", "state in the end")


if __name__ == "__main__":
    main()
