#!/usr/bin/env python3
"""Files of at most 600 lines, functions of at most 70.

usage: sizes.py [--stats] [ROOT]

--stats prints lines and files of each directory and the spread of function
lengths instead.
"""

import collections
import os
import sys

import source

FILE_LINES_MOST = 600
FUNCTION_LINES_MOST = 70


def functions(text):
    """(first line, number of lines) of each function. By our format, only a
    function's braces stand alone in the first column."""
    lines = text.split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
            # The signature may take several lines: go back to where it begins.
            while start > 1 and lines[start - 2] and not lines[start - 2].startswith(("}", "#", "/*", " */")):
                start -= 1
                if lines[start - 1].endswith((";", "*/")):
                    start += 1
                    break
        elif line == "}" and start is not None:
            yield start, number - start + 1
            start = None


def check(name, text):
    lines = text.count("\n")
    if lines > FILE_LINES_MOST:
        yield name, lines, f"{lines} lines; at most {FILE_LINES_MOST}: split the file"
    if name.endswith((".c", ".h")):
        for line, length in functions(text):
            if length > FUNCTION_LINES_MOST:
                yield name, line, f"a function of {length} lines; at most {FUNCTION_LINES_MOST}"


def stats(root, names):
    lines = collections.Counter()
    count = collections.Counter()
    lengths = []
    for name in names:
        text = source.read(root, name)
        directory = os.path.dirname(name) or "."
        lines[directory] += text.count("\n")
        count[directory] += 1
        if name.endswith(".c") and not name.startswith("tests/"):
            lengths += [length for _, length in functions(text)]
    for directory in sorted(lines):
        print(f"{directory:24} {count[directory]:4} files {lines[directory]:7} lines")
    lengths.sort()
    if lengths:
        print(f"functions: {len(lengths)}, median {lengths[len(lengths) // 2]}, "
              f"nine in ten under {lengths[len(lengths) * 9 // 10] + 1}, longest {lengths[-1]} lines")


def main():
    arguments = [a for a in sys.argv[1:] if a != "--stats"]
    root = arguments[0] if arguments else "."
    names = source.files(root, [".c", ".h", ".py", ".sh", ".proto"])
    names += [n for n in source.files(root, None)
              if "." not in os.path.basename(n) and source.first_line(root, n).startswith("#!")]
    if "--stats" in sys.argv[1:]:
        stats(root, names)
        return
    problems = []
    for name in names:
        problems += check(name, source.read(root, name))
    source.report(problems)


if __name__ == "__main__":
    main()
