#!/usr/bin/env python3
"""Text that must not be in the project: paths of one machine, marks of
unfinished work, left-over merge marks, tabs and trailing blanks.

usage: words.py [ROOT]
"""

import os
import re

import source

# Written so that no pattern matches its own line.
FORBIDDEN = [
    (r"(?<![\w.])/wor[k]/|(?<![\w.])/roo[t]\b|(?<![\w.])/hom[e]/\w", "a path of one machine"),
    (r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b", "unfinished work: finish it or file an issue"),
    (r"^(<{7}|>{7}|={7})( |$)", "a left-over merge mark"),
    (r"[ \t]+$", "blanks at the end of the line"),
    (r"\t", "a tab"),
    (r"\r", "a carriage return"),
]
BINARY = (".png", ".gz", ".zst", ".xz", ".bin")
# ACH files are padded with blanks and may end lines in their own way; so are patches.
EXACT = (".ach", ".golden", ".patch")
BLANKS = {"blanks at the end of the line", "a tab", "a carriage return"}


def check(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, reason in FORBIDDEN:
            if reason in BLANKS and (name.endswith(EXACT) or name == "LICENSE"):
                continue
            if re.search(pattern, line):
                yield name, number, reason
    if text and not text.endswith("\n") and not name.endswith(EXACT):
        yield name, text.count("\n") + 1, "no newline at the end of the file"


def main():
    root = source.root_argument()
    problems = []
    for name in source.files(root, None):
        if name.endswith(BINARY) or os.path.islink(os.path.join(root, name)):
            continue
        problems += check(name, source.read(root, name))
    source.report(problems)


if __name__ == "__main__":
    main()
