#!/usr/bin/env python3
"""Shell and Python scripts must parse; shellcheck must have no complaint.

usage: syntax.py [ROOT]
"""

import ast
import os
import subprocess

import source


def scripts(root):
    """(path, kind) of each script, by its extension or first line."""
    for name in source.files(root, None):
        base = os.path.basename(name)
        first = source.first_line(root, name) if "." not in base else ""
        if name.endswith((".sh", ".bash")) or (first.startswith("#!") and "bash" in first):
            yield name, "bash"
        elif name.endswith(".py") or (first.startswith("#!") and "python" in first):
            yield name, "python"


def check_python(root, name):
    try:
        ast.parse(source.read(root, name), name)
    except SyntaxError as error:
        yield name, error.lineno or 1, f"does not parse: {error.msg}"


def check_bash(root, name):
    text = source.read(root, name)
    if "set -euo pipefail" not in text:
        yield name, 1, "set -euo pipefail is missing"
    for command in (["bash", "-n", name], ["shellcheck", "-e", "SC1091,SC2317", name]):
        done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            yield name, 1, f"{' '.join(command)}:\n{done.stdout.decode().strip()}"


def main():
    root = source.root_argument()
    problems = []
    for name, kind in scripts(root):
        problems += check_bash(root, name) if kind == "bash" else check_python(root, name)
    source.report(problems)


if __name__ == "__main__":
    main()
