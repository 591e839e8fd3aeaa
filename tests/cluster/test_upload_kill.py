"""kill -9 of the leader at each step of the upload: one file at the bank,
whole, and UPLOADED in the end."""

from bank import Bank, Ledger, Thief
from harness import A, Cluster, check, main, same, settings, transfer, transfers, until

# In the order in which an upload passes them (FAULT_POINT in the sources).
POINTS = [
    "window.closed",
    "file.sealed",
    "upload.claimed",
    "upload.witness",
    "upload.staging",  # Half of the file is written.
    "upload.put",
    "upload.staged",
    "upload.before-rename",
    "upload.renamed",
    "upload.synced",
    "upload.before-uploaded",
    "upload.uploaded",
]
# Those of the store and the engine come many times in one upload; at which
# passage after the start of the node they strike.
PASSAGES = [("writer.before_commit", 9), ("writer.committed", 11), ("engine.after-append", 8),
            ("engine.before-apply", 10), ("engine.after-apply", 7)]


def submit_until_dead(c, ledger, victim):
    """The passages go on as long as something is written. What comes now is for
    the next window."""
    late = []

    def dead():
        if victim.alive():
            late.append(transfer(A))
            ledger.note(late[-1:], c.submit(late[-1:], to=c.others(victim)))
        return not victim.alive()

    until("it dies", dead)
    return late


def die_uploading(c, bank, ledger, fault, early):
    """The next file of A: its first leader dies of the fault, another finishes.
    early: what the window holds already; returns that of the next one."""
    victim = c.nodes[0]
    if victim.alive():
        victim.terminate()
        same(victim.wait_end(), 0, "status after SIGTERM")
    victim.start(fault=fault)
    c.wait_up()
    known = {f.name for f in bank.files()}
    others = c.others(victim)
    batch = transfers(A, 30)
    ledger.note(batch, c.submit(batch, to=others))
    c.lead(A, victim)
    # The leader may die before it answers; then nobody knows, and that is said.
    status = c.cli("windows", "close", A, to=others).returncode
    check(status in (0, 5), f"windows close: status {status}")
    late = submit_until_dead(c, ledger, victim) if ":" in fault else []
    same(victim.wait_end(), -9, f"end of the leader at {fault}")
    files = c.wait_files(A, "uploaded", count=len(known) + 1)
    same({f["state"] for f in files}, {"uploaded"}, f"states after {fault}")
    new = [f for f in bank.files() if f.name not in known]
    same(len(new), 1, f"new files at the bank after {fault}")
    same(sorted(e.id for e in new[0].entries), sorted(t["id"] for t in early + batch), f"entries after {fault}")
    row = next(f for f in files if f["name"] == new[0].name)
    check(c.ask("files", "verify", row["id"], "--shard", A)["ok"], f"verify after {fault}")
    got = c.run("files", "get", row["id"], "--shard", A).stdout
    same(got.encode(), new[0].data, f"bytes after {fault}")
    return late


def run_points(thieving, faults):
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        if thieving:
            Thief(c, bank)
        c.start()
        c.apply(settings(A, rate="256KiB/s"))
        late = []
        for fault in faults:
            late = die_uploading(c, bank, ledger, fault, late)
        c.nodes[0].start()
        c.wait_up()
        ledger.settle(c, A, bank)
        c.hashes_equal(A)
        same(len({f.name for f in bank.files()}), len(faults), "different names at the bank")


def test_killed_at_each_step():
    run_points(False, [f"{point}=kill" for point in POINTS])


def test_killed_at_each_step_with_a_thief():
    """The steps after the rename, where the file is gone before anyone looks."""
    run_points(True, [f"{point}=kill" for point in POINTS[6:]])


def test_killed_in_the_store():
    run_points(False, [f"{point}=kill:{n}" for point, n in PASSAGES])


if __name__ == "__main__":
    main()
