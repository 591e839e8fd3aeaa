#!/usr/bin/env python3
"""What is named must exist: in documents files that are linked to, paths that are
quoted, and names in code quotes with an underscore, functions and tests above all;
in C code documents. And the operator's document names every line of the log and
every event of a shard.

usage: names.py [ROOT]
"""

import fnmatch
import os
import re

import source

TOP = ("proto", "storage", "shard", "supervisor", "tests", "scripts", "docs")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
QUOTE = re.compile(r"`([^`\n]+)`")
NAME = re.compile(r"^([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(\(\))?$")
PATH = re.compile(r"^(?:%s)/[\w./*-]+$" % "|".join(TOP))
# What a document asks its reader to put something into.
PLACEHOLDER = re.compile(r"[A-Z]{3,}(?!\w*\.md)")
DOCUMENT = re.compile(r"(?<![\w./-])([\w./-]+\.md)\b")
EVENTS = "docs/operations.md"
EVENT = re.compile(r'\b(?:logger_line\([^;"]*|apply_event\(a, )"([a-z]+(?:[._-][a-z_-]+)*)"')
# In the first column of a table.
TOLD = re.compile(r"`([a-z]+(?:\.[a-z_-]+)?)`")
# Names of ctest are made of a prefix and a name that stands somewhere.
CTEST = re.compile(r"^(?:sim_anomaly|sim|cluster|check)_(\w+)$")
# Of libraft, and of nobody.
ELSEWHERE = {"capacity_threshold", "module_verb"}
BINARY = (".png", ".gz", ".zst", ".xz", ".bin")


def is_text(name):
    return not name.endswith(BINARY) and "/corpus/" not in name


def words_of(root, names):
    """Every word of what is no document."""
    words = set()
    for name in names:
        if not name.endswith(".md") and is_text(name) and not os.path.islink(os.path.join(root, name)):
            words.update(re.findall(r"[A-Za-z_]\w*", source.read(root, name)))
            words.add(os.path.splitext(os.path.basename(name))[0])
    return words


def is_known(name, words):
    made = CTEST.match(name)
    return (
        name in words
        or name in ELSEWHERE
        or (made is not None and (made[1] in words or "test_" + made[1] in words))
    )


def exists(path, names):
    path = path.rstrip("/")
    if path == os.path.normpath(source.CORPUS):
        return True  # Left out of the list of files.
    if "*" in path:
        return any(fnmatch.fnmatch(name, path) for name in names)
    return path in names or any(name.startswith(path + "/") for name in names) or path + ".h" in names


def check(name, text, names, words):
    here = os.path.dirname(name)
    for number, line in enumerate(text.split("\n"), 1):
        for target, _ in LINK.findall(line):
            if ":" not in target and not exists(os.path.normpath(os.path.join(here, target)), names):
                yield name, number, f"{target}: no such file"
        for quoted in QUOTE.findall(line):
            match = NAME.match(quoted)
            if match and not is_known(match[1], words):
                yield name, number, f"{match[1]}: nothing has this name"
            if PATH.match(quoted) and not PLACEHOLDER.search(quoted) and not exists(quoted, names):
                yield name, number, f"{quoted}: no such file"


def check_code(name, text, names):
    for number, line in enumerate(text.split("\n"), 1):
        for target in DOCUMENT.findall(line):
            if target not in names and "docs/" + target not in names:
                yield name, number, f"{target}: no such document"


def told_events(text):
    """The events in the tables of a document, with their lines."""
    in_table = False
    for number, line in enumerate(text.split("\n"), 1):
        in_table = line.startswith("| event |") or (in_table and line.startswith("|"))
        if in_table:
            for event in TOLD.findall(line.split("|")[1]):
                yield event, number


def check_events(root, names):
    made = {}
    for name in names:
        if name.endswith(".c") and not name.startswith("tests/"):
            text = source.read(root, name)
            for match in EVENT.finditer(text):
                made.setdefault(match[1], (name, text.count("\n", 0, match.start(1)) + 1))
    told = dict(told_events(source.read(root, EVENTS)))
    for event in sorted(set(made) - set(told)):
        yield *made[event], f"{event}: not in the tables of {EVENTS}"
    for event in sorted(set(told) - set(made)):
        yield EVENTS, told[event], f"{event}: nothing makes this event"


def main():
    root = source.root_argument()
    names = set(source.files(root, None))
    words = words_of(root, names)
    problems = []
    for name in sorted(names):
        if name.endswith(".md"):
            problems += check(name, source.read(root, name), names, words)
        elif name.endswith((".c", ".h", ".proto")):
            problems += check_code(name, source.read(root, name), names)
    if EVENTS in names:
        problems += check_events(root, names)
    source.report(problems)


if __name__ == "__main__":
    main()
