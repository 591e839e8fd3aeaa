#!/usr/bin/env python3
"""Runs the anomaly loops as tests.

usage: test_anomaly.py SIM_ANOMALY store|memory|leaks

store, memory: every failure of the small scenario, and each STRIDE-th of the
busy one. leaks: each LEAKS_STRIDE-th failure of a store, with a program that has
been built with sanitizers.
"""

import os
import subprocess
import sys

BUSY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenarios", "anomaly_busy")
STRIDE = "1499"
LEAKS_STRIDE = "97"


def run(program, *arguments):
    environment = {k: v for k, v in os.environ.items() if k not in ("SHARDGATE_BUG", "SHARDGATE_FAULT")}
    result = subprocess.run([program, *arguments], env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    print(result.stdout)
    if result.returncode != 0:
        sys.exit(f"status {result.returncode}")


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in ("store", "memory", "leaks"):
        sys.exit(__doc__)
    program, mode = sys.argv[1:]
    if mode == "leaks":
        run(program, "store", "--stride", LEAKS_STRIDE)
        return
    run(program, mode)
    run(program, mode, "--scenario", BUSY, "--stride", STRIDE)


if __name__ == "__main__":
    main()
