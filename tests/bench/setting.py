"""What both benchmarks share: the cluster of the cluster tests, on this
repository's disk."""

import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))

# The system's temporary directory may lie in memory, where a flush is free.
PLACE = os.path.join(ROOT, "var", "bench")
os.makedirs(PLACE, exist_ok=True)
tempfile.tempdir = PLACE


def number(name, fallback):
    """The value of an option --name N, or the fallback."""
    return value(name, fallback, int)


def value(name, fallback, kind):
    if name not in sys.argv:
        return fallback
    at = sys.argv.index(name)
    if at + 1 == len(sys.argv):
        sys.exit(f"{name} needs a value")
    return kind(sys.argv[at + 1])


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head] + rows) for i in range(len(head))]
    for row in [head, ["-" * (w - 1) + ":" for w in widths]] + rows:
        print("| " + " | ".join(str(cell).rjust(w) for cell, w in zip(row, widths)) + " |")
