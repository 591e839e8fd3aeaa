"""What the checks share: which files there are, and C text without comments."""

import os
import re
import subprocess
import sys

LAYERS = ["proto", "storage", "shard", "supervisor"]
CORPUS = os.path.join("tests", "fuzz", "corpus", "")  # Any bytes: nothing to check.


def files(root, extensions):
    """Paths below root, relative and sorted, of what belongs to the project:
    tracked, or new and not ignored. Outside of git (the checks' own tests):
    all files."""
    if os.path.exists(os.path.join(root, ".git")):
        command = ["git", "-C", root, "ls-files", "-z", "-co", "--exclude-standard"]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        names = [name for name in out.decode().split("\0") if name]
    else:
        names = []
        for directory, _, entries in os.walk(root):
            names += [os.path.relpath(os.path.join(directory, e), root) for e in entries]
    names = [n for n in names if os.path.isfile(os.path.join(root, n)) and not n.startswith(CORPUS)]
    if extensions is not None:
        names = [n for n in names if n.endswith(tuple(extensions))]
    return sorted(set(names))


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8") as file:
        return file.read()


def first_line(root, name):
    with open(os.path.join(root, name), "rb") as file:
        return file.readline(200).decode("utf-8", "replace")


_TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL
)


def without_comments(text, keep_strings=False):
    """C text with comments (and the inside of strings) blanked out. Lines stay
    where they are."""

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] * 2
        return "\n" * token.count("\n")

    return _TOKEN.sub(blank, text)


def report(problems):
    """Prints "path:line: text" for each problem; exits with 1 if there are any."""
    for name, line, text in sorted(problems):
        print(f"{name}:{line}: {text}")
    sys.exit(1 if problems else 0)


def root_argument():
    return sys.argv[1] if len(sys.argv) > 1 else "."
