#!/usr/bin/env python3
"""clang-tidy over every source of a build, as many at once as there are cores.
A file that was clean is not looked at again until it, a header it includes, or
the configuration changes.

usage: tidy.py BUILD_DIRECTORY
"""

import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys


def preprocessed(command):
    """What the compiler sees: changes whenever the file or one of its headers does."""
    words = shlex.split(command["command"])
    output = words.index("-o")
    words = [w for w in words[:output] + words[output + 2:] if w != "-c"] + ["-E", "-C"]
    done = subprocess.run(words, cwd=command["directory"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=True)
    return done.stdout


def examine(build, stamps, configuration, command):
    """Returns clang-tidy's complaints, empty when there are none."""
    key = hashlib.sha256(configuration + preprocessed(command)).hexdigest()
    stamp = os.path.join(stamps, key)
    if os.path.exists(stamp):
        return ""
    done = subprocess.run(["clang-tidy", "--quiet", "-p", build, command["file"]],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        return (done.stdout or done.stderr).decode()
    with open(stamp, "w", encoding="utf-8"):
        return ""


def main():
    build = sys.argv[1]
    root = os.getcwd()
    stamps = os.path.join(build, "tidy-stamps")
    os.makedirs(stamps, exist_ok=True)
    with open(".clang-tidy", "rb") as file:
        configuration = file.read()
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        commands = json.load(file)
    # Generated code is not ours to tidy.
    ours = [c for c in commands if not os.path.relpath(c["file"], root).startswith("build/")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda c: examine(build, stamps, configuration, c), ours))
    complaints = [text for text in results if text]
    print("".join(complaints), end="")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
