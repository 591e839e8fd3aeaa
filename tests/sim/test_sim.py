#!/usr/bin/env python3
"""Runs the simulator as a test.

usage: test_sim.py SIM seeds|few|same|scenarios|regress|planted

seeds: all of SEEDS hold. few: those of FEW_SEEDS, and a bug planted there is found. same: a seed gives the same events twice, and
another seed others. scenarios: each file of scenarios/ holds with the first
seeds. regress: regress.txt, what once failed, holds. planted: every bug of
planted.txt is found within its seeds, and told without the same answer again
and again; a scenario named there must hold a few seeds without any bug, or it
would find anything.
"""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SEEDS = "1..300"
FEW_SEEDS = "1..60"
SAME = "1..12"
SCENARIO_SEEDS = "1..6"
FEW = {"flood": "1..1", "long_history": "1..1"}  # Tens of thousands of transfers each.
HELD = "1..3"
FOLDED = 40  # FOLD_LINES of world.c.


def run(sim, *arguments, bug=None):
    environment = {k: v for k, v in os.environ.items() if k not in ("SHARDGATE_BUG", "SHARDGATE_FAULT")}
    if bug is not None:
        environment["SHARDGATE_BUG"] = bug
    return subprocess.run([sim, "--jobs", "1", *arguments], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)


def must_hold(result):
    if result.returncode != 0:
        sys.exit(result.stdout + f"\nstatus {result.returncode}")


def table(name):
    """The words of each line that is not a comment."""
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        lines = [line.split("#", 1)[0].split() for line in f]
    rows = [line for line in lines if line]
    if not rows:
        sys.exit(f"{name} is empty")
    return rows


def scenario_arguments(row, at):
    """KEY=VALUE is set; any other word is a scenario."""
    arguments = []
    for word in row[at:]:
        arguments += ["--set", word] if "=" in word else ["--scenario", os.path.join(HERE, "scenarios", word)]
    return arguments


def seeds(sim):
    result = run(sim, "--seeds", SEEDS)
    must_hold(result)
    print(result.stdout)


def few(sim):
    result = run(sim, "--seeds", FEW_SEEDS)
    must_hold(result)
    print(result.stdout)
    if run(sim, "--seeds", FEW_SEEDS, bug="fold-any-content").returncode != 1:
        sys.exit("a planted bug is not found: these seeds look at nothing")


def hashes(sim):
    result = run(sim, "--seeds", SAME, "--each")
    must_hold(result)
    return dict(line.split()[1:4:2] for line in result.stdout.splitlines() if " hash " in line)


def same(sim):
    first, second = hashes(sim), hashes(sim)
    if first != second:
        sys.exit(f"two runs differ:\n{first}\n{second}")
    if len(set(first.values())) != len(first) or len(first) < 2:
        sys.exit(f"different seeds gave the same run: {first}")
    print(f"{len(first)} seeds, each twice the same")


def scenarios(sim):
    names = sorted(os.listdir(os.path.join(HERE, "scenarios")))
    if not names:
        sys.exit("no scenarios")
    for name in names:
        result = run(sim, "--seeds", FEW.get(name, SCENARIO_SEEDS), "--scenario",
                     os.path.join(HERE, "scenarios", name))
        must_hold(result)
        print(f"{name}: {result.stdout.splitlines()[-1]}")


def regress(sim):
    for row in table("regress.txt"):
        must_hold(run(sim, "--seed", row[0], *scenario_arguments(row, 1)))
    print("held")


def must_fold(name, text):
    """No answer stands twice among FOLDED lines: it is counted."""
    lines = [re.sub(r" \(\d+ times more .*", "", line[15:]) for line in text.splitlines()]
    ends = [line if " ends: " in line else None for line in lines]
    for i, end in enumerate(ends):
        if end is not None and end in ends[i + 1:i + FOLDED]:
            sys.exit(f"{name}: told again and again:{end}\n{text}")


def planted(sim):
    rows = table("planted.txt")
    for words in sorted({tuple(row[2:]) for row in rows if len(row) > 2}):
        must_hold(run(sim, "--seeds", HELD, *scenario_arguments(words, 0)))
    missed = []
    for row in rows:
        result = run(sim, "--seeds", f"1..{row[1]}", *scenario_arguments(row, 2), bug=row[0])
        if result.returncode == 0:
            missed.append(row[0])
        elif result.returncode != 1:
            sys.exit(f"{row[0]}: status {result.returncode}\n{result.stdout}")
        else:
            must_fold(row[0], result.stdout)
    if missed:
        sys.exit("not found within their seeds: " + ", ".join(missed))
    print(f"{len(rows)} bugs, all found")


def main():
    modes = {"seeds": seeds, "few": few, "same": same, "scenarios": scenarios, "regress": regress, "planted": planted}
    if len(sys.argv) != 3 or sys.argv[2] not in modes:
        sys.exit(__doc__)
    modes[sys.argv[2]](sys.argv[1])


if __name__ == "__main__":
    main()
