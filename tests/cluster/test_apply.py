"""shardgate apply and export."""

from bank import Bank
from harness import A, B, Cluster, check, main, same, settings, transfers, until


def test_apply():
    with Cluster() as c:
        c.start()
        same(c.run("export").stdout.strip(), "defaults: {unknown_routing_number: refuse}", "an empty cluster")

        plan = c.apply(settings(A)).stdout
        for line in ("endpoint bank-" + A, "originator acme", "shard " + A):
            check(line in plan, f"the difference does not show '{line}':\n{plan}")
        leader = c.leader(A)
        again = c.ask("apply", "-f", "cluster.yaml")
        same((again["applied"], again["changes"]), (False, []), "the same file again")

        # What it exports is what it takes, and no change.
        exported = c.run("export").stdout
        same(c.ask("apply", "-f", "-", given=exported)["changes"], [], "its own export")

        # Through any node; a dry run changes nothing.
        for node in c.nodes:
            c.apply(settings(A, B), to=[node]) if node is leader else c.run("apply", "-f", "cluster.yaml", to=[node])
        c.leader(B)
        with open(c.dir + "/changed.yaml", "w", encoding="utf-8") as f:
            f.write(settings(A, B, rate="64KiB/s"))
        dry = c.ask("apply", "-f", "changed.yaml", "--dry-run")
        check(not dry["applied"] and len(dry["changes"]) == 2, f"dry run: {dry}")
        check("rate_limit" not in c.run("export").stdout, "a dry run changed something")
        wet = c.ask("apply", "-f", "changed.yaml")
        check(wet["applied"], f"{wet}")
        for node in c.nodes:
            until("the change is exported", lambda n=node: "rate_limit" in c.run("export", to=[n]).stdout)

        # It survives all nodes.
        before = c.run("export").stdout
        for node in c.nodes:
            node.kill()
        c.start()
        same(c.run("export").stdout, before, "the configuration after a restart of all nodes")


def test_bad_files_are_refused_with_their_line():
    good = settings(A)
    line = good.splitlines().index("    originators: [acme]") + 1
    shard = good.splitlines().index(f'  "{A}":') + 1
    bad_digit = A[:8] + str((int(A[8]) + 1) % 10)
    rows = [
        # (text, where, what the reason must name)
        (good.replace("    originators: [acme]", "    originaters: [acme]"), f":{line}:", "did you mean originators"),
        (good.replace("originators: [acme]", "originators: [nobody]"), f"line {shard}: shard {A}", "no originator nobody"),
        (good.replace(f'"{A}":', f'"{bad_digit}":'), bad_digit, "check digit"),
        (good.replace("kind: directory", "kind: pigeon"), ":2:", "one of directory"),
        (good.replace("zone: UTC", "zone: Mars/Olympus"), "Mars/Olympus", "time zone"),
        (good.replace(f"staging_dir: bank/{A}/staging", f"staging_dir: bank/{A}/inbox"), A, "staging_dir"),
        (good + "    preferred: n9\n", f"line {shard}: shard {A}", "n9"),
        ("endpoints: [\n", ":2:", ""),
    ]
    with Cluster() as c:
        c.start()
        for text, where, what in rows:
            done = c.apply(text, status=1)
            said = done.stderr + done.stdout
            check(where in said and what in said, f"refused, but without '{where}' and '{what}': {said}")
        same(c.run("export").stdout.strip(), "defaults: {unknown_routing_number: refuse}", "after bad files")
        # Nothing of them is in the way of a good one.
        c.apply(good)
        Bank(c, A)
        c.accept(transfers(A, 1))


if __name__ == "__main__":
    main()
