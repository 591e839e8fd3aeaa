"""Transfers from a client to a file at the bank, and everything that looks in."""

import json
import os

from bank import Bank, Ledger
from harness import A, B, Cluster, check, main, routing_number, same, settings, transfer, transfers, until


def outcomes(results):
    return [r["outcome"] for r in results]


def check_rejections(c):
    """Each with its own reason, in the midst of good ones that go on."""
    wrong_digit = A[:8] + str((int(A[8]) + 1) % 10)
    missing = transfer(A)
    del missing["name"]
    known = transfer(A)
    c.accept([known])
    rows = [
        # (transfer, what the reason must name)
        (transfer(wrong_digit), "check digit"),
        (transfer(A, rdfi="091000018"), "rdfi"),
        (transfer(A, amount=0), "amount"),
        (transfer(A, amount=10**10), "amount"),
        (transfer(A, amount=-5), "amount"),
        (missing, "name"),
        (transfer(routing_number(7)), routing_number(7)),
        (transfer(A, originator="nobody"), "originator"),
        (transfer(A, id="x" * 65), "id"),
        (transfer(A, name="x" * 23), "name"),
        (transfer(A, sec="XYZ"), "sec"),
        (dict(known, amount=known["amount"] + 1), "id"),
    ]
    mixed = []
    for bad, _ in rows:
        mixed += [transfer(A), bad]
    results = c.submit(mixed)
    for i, (bad, what) in enumerate(rows):
        same(results[2 * i]["outcome"], "accepted", f"the good one before {bad}")
        result = results[2 * i + 1]
        same(result["outcome"], "rejected", f"{bad}")
        check(what in result["reason"], f"the reason does not name {what}: {result['reason']}")
        same(result["index"], 0, "the index of a rejection")
    same(c.submit_text(json.dumps(mixed[1]) + "\n").returncode, 1, "status when all were rejected")
    return [known] + [t for t in mixed if t not in [bad for bad, _ in rows]]


def check_forms(c):
    """One object, an array, lines, a file, --shard."""
    one, two, three = transfer(A), transfers(A, 2), transfers(A, 3)
    same(json.loads(c.submit_text(json.dumps(one, indent=2)).stdout)["accepted"], 1, "one object")
    same(json.loads(c.submit_text(json.dumps(two)).stdout)["accepted"], 2, "an array")
    for t in three:
        del t["routing_number"]
    path = os.path.join(c.dir, "three.jsonl")
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(t) + "\n" for t in three)
    same(c.ask("transfers", "submit", path, "--shard", A)["accepted"], 3, "lines with --shard")
    return [one] + two + [dict(t, routing_number=A) for t in three]


def check_folding(c, ledger):
    """The first answer again, from any node, before and after a failover."""
    batch = transfers(A, 3)
    first = c.submit(batch, to=[c.nodes[0]])
    ledger.note(batch, first)
    for node in c.nodes:
        again = c.submit(batch, to=[node])
        same(outcomes(again), ["folded"] * 3, f"outcomes through {node.name}")
        same([r["index"] for r in again], [r["index"] for r in first], "indexes of a fold")
    leader = c.leader(A)
    leader.kill()
    again = c.submit(batch)
    same(outcomes(again), ["folded"] * 3, "outcomes after a failover")
    same([r["index"] for r in again], [r["index"] for r in first], "indexes after a failover")
    other = c.submit([dict(batch[0], name="Somebody Else")])
    same(outcomes(other), ["rejected"], "the same id with other content after a failover")
    leader.start()
    c.wait_up()


def check_cancel(c, ledger):
    """Before the window closes it is cancelled, once; later it is too late."""
    gone, kept = transfers(A, 2)
    ledger.note([gone, kept], c.submit([gone, kept]))
    c.run("transfers", "cancel", gone["id"], "--shard", A, "--reason", "test")
    ledger.cancelled.add(gone["id"])
    same(c.ask("transfers", "show", gone["id"], "--shard", A)["state"], "cancelled", "state")
    same(outcomes(c.submit([gone])), ["folded"], "a cancelled one again")
    return kept


def check_late_cancel(c, kept):
    done = c.cli("transfers", "cancel", kept["id"], "--shard", A, "--reason", "test")
    check(done.returncode != 0 and "file" in done.stderr, f"a late cancel: {done.returncode} {done.stderr}")


def check_views(c, bank, kept):
    """What the tool shows of one file agrees with what the bank has."""
    at_bank = bank.one()
    row = c.wait_files(A, "uploaded")[0]
    same(row["name"], at_bank.name, "name")
    same((row["entries"], row["debit_cents"], row["credit_cents"]),
         (len(at_bank.entries), at_bank.debit, at_bank.credit), "totals")
    check(row["uploaded_at"] is not None and row["attempts"] == 1, f"{row}")
    got = c.cli("files", "get", row["name"], "--shard", A)
    check(got.returncode == 0 and got.stdout.encode() == at_bank.data, "files get: other bytes than the bank's")
    verified = c.ask("files", "verify", row["id"], "--shard", A)
    check(verified["ok"] and all(x["ok"] for x in verified["checks"]), f"files verify: {verified}")
    shown = c.ask("transfers", "show", kept["id"], "--shard", A)
    same((shown["state"], shown["file"]), ("in_file", row["id"]), "transfers show")
    check(shown["account"].startswith("***"), f"an account number in clear: {shown['account']}")
    check(str(shown["trace"]) in "".join(e.trace for e in at_bank.entries if e.id == kept["id"]), "its trace number")
    steps = [s["what"] for s in c.ask("transfers", "trace", kept["id"], "--shard", A)["steps"]]
    same(steps, ["accepted", "sealed", "claimed", "uploaded"], "transfers trace")
    kinds = {e["kind"] for e in c.ask("events", A)["events"]}
    check(len(kinds) >= 3, f"events: {kinds}")
    commands = [e.get("command") for e in c.ask("log", "dump", A)["entries"]]
    for command in ("submit", "close", "seal", "claim", "staged", "uploaded"):
        check(command in commands, f"log dump has no {command}")
    same(c.ask("windows", "list", A)["windows"][0]["state"], "sealed", "windows list")
    same(c.ask("files", "show", row["id"], "--shard", A)["sha256"], row["sha256"], "files show")


def check_status(c):
    status = c.ask("status")
    same((status["health"], status["attention"]), ("healthy", []), "status")
    same(c.run("status", "--check").returncode, 0, "status --check")
    same(status["shards"]["total"], 2, "shards in status")
    until("nodes list: all up", lambda: {n["state"] for n in c.ask("nodes", "list")["nodes"]} == {"up"})
    same([s["routing_number"] for s in c.ask("shards", "list")["shards"]], [A, B], "shards list")
    shown = c.ask("shards", "show", A)
    same({r["node"] for r in shown["replicas"]}, {"n1", "n2", "n3"}, "replicas")
    same({r["state"] for r in shown["replicas"]}, {"ok"}, "states of replicas")
    for verb in (("status",), ("nodes", "list"), ("shards", "list"), ("shards", "show", A), ("files", "list", A)):
        check(c.run(*verb).stdout.strip() != "", f"{verb} prints nothing")


def check_usage(c):
    """Exit statuses and hints."""
    wrong = A[:8] + str((int(A[8]) + 1) % 10)
    for args, status, hint in ((("shard", "list"), 2, "did you mean"), (("shards", "show", wrong), 2, "check digit"),
                               (("shards", "show", routing_number(7)), 1, ""), (("transfers",), 2, "")):
        done = c.cli(*args)
        same(done.returncode, status, f"status of {args}: {done.stderr}")
        check(hint in done.stderr, f"{args}: no '{hint}' in {done.stderr}")


def check_offline(c, bank):
    """The same answers from the files of a running and of a stopped node."""
    node = c.nodes[2]
    c.hashes_equal(A)
    wanted = c.files(A)
    for state in ("running", "stopped"):
        if state == "stopped":
            node.kill()
        source = ("--data-dir", node.dir)
        same(c.ask("files", "list", A, *source)["files"], wanted, f"files of a {state} node")
        same(c.run("files", "get", wanted[0]["id"], "--shard", A, *source).stdout.encode(), bank.one().data,
             f"bytes from a {state} node")
        check(c.ask("files", "verify", wanted[0]["id"], "--shard", A, *source)["ok"], f"verify on a {state} node")
        shown = c.ask("shards", "show", A, *source)
        check(shown["applied_index"] > 0, f"shard of a {state} node")
        listed = [s for s in c.ask("shards", "list", *source)["shards"] if s["routing_number"] == A]
        check(listed, f"shards of a {state} node")
        check(shown["term"], f"term of a {state} node")
        same(shown["term"], listed[0]["term"], f"term of a {state} node")
        check(c.ask("log", "dump", A, *source)["entries"], f"log of a {state} node")
        check(c.ask("events", A, *source)["events"], f"events of a {state} node")
        check(c.ask("transfers", "list", A, *source)["transfers"], f"transfers of a {state} node")
    node.start()
    c.wait_up()
    c.hashes_equal(A)


def test_transfers():
    with Cluster() as c:
        bank, other = Bank(c, A), Bank(c, B)
        ledger = Ledger()
        c.start()
        c.apply(settings(A, B))
        for t in check_rejections(c) + check_forms(c):
            ledger.accepted[t["id"]] = t
        check_folding(c, ledger)
        debits = transfers(A, 4, sec="CCD", side="debit", entry_description="RENTAL", addenda=["RMR*IV*1\\"])
        ledger.note(debits, c.submit(debits))
        both = transfers(A, 2) + transfers(B, 3)
        ledger.note(both, c.submit(both))
        kept = check_cancel(c, ledger)
        ledger.settle(c, A, bank)
        same(c.ask("windows", "close", A)["outcome"], "done", "windows close")
        c.wait_files(A, "uploaded")
        ledger.settle(c, A, bank)
        check_late_cancel(c, kept)
        check_views(c, bank, kept)
        same(other.files(), [], "files of the other routing number, whose window is open")
        c.run("windows", "close", B)
        c.wait_files(B, "uploaded")
        ledger.settle(c, B, other)
        until("healthy again", lambda: c.ask("status")["health"] == "healthy")
        check_status(c)
        check_usage(c)
        check_offline(c, bank)
        # A second window of the day: another file, another name.
        more = transfers(A, 2)
        ledger.note(more, c.submit(more))
        c.run("windows", "close", A)
        c.wait_files(A, "uploaded", count=2)
        same(len({f.name for f in bank.files()}), 2, "names at the bank")
        ledger.settle(c, A, bank)
        for aba in (A, B):
            c.hashes_equal(aba)


if __name__ == "__main__":
    main()
