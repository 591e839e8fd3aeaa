#!/usr/bin/env python3
"""Who may include what, and who may call what.

An include goes only to the left: proto <- storage <- shard <- supervisor, and
within a layer from room to room as ROOMS says. What a header declares is defined
in the header's own room, so that no call goes round the includes. Each
third-party header stays in its adapter. Code that runs on a lane reaches time,
threads, disk and network only through the seams. Every limit stands in
proto/base/limits.h.

usage: layers.py [ROOT]
"""

import fnmatch
import os
import re

import source

# The rooms of each layer: files, then the rooms of the same layer that they may
# include (beside their own). The first row that fits a file is its room. Rows stand
# in an order without circles: a room uses only rooms above it.
ROOMS = [
    ("proto/base", ["proto/base/*"], []),
    ("proto", ["proto/*"], ["proto/base"]),
    ("storage", ["storage/*"], []),
    # What others of the layer are reached through, without knowing them.
    ("shard seams", ["shard/machine.[ch]", "shard/transport.h", "shard/upload/bank.[ch]"], []),
    # What a shard tells and is told, in the words of those who do it.
    ("shard words", ["shard/duties/submission.h", "shard/upload/status.h"], []),
    ("shard/ach", ["shard/ach/*"], []),
    ("shard/engine", ["shard/engine/*"], ["shard seams"]),
    ("shard/state", ["shard/state/*"], ["shard seams", "shard/ach"]),
    ("shard/duties", ["shard/duties/*"],
     ["shard seams", "shard words", "shard/ach", "shard/engine", "shard/state"]),
    ("shard/upload", ["shard/upload/*"],
     ["shard seams", "shard words", "shard/ach", "shard/engine", "shard/state", "shard/duties"]),
    ("shard", ["shard/*"],
     ["shard seams", "shard words", "shard/ach", "shard/engine", "shard/state", "shard/duties", "shard/upload"]),
    ("supervisor/base", ["supervisor/base/*"], []),
    ("supervisor/catalog", ["supervisor/catalog/*"], ["supervisor/base"]),
    ("supervisor/config", ["supervisor/config/*"], ["supervisor/base", "supervisor/catalog"]),
    ("supervisor/node", ["supervisor/node/*"], ["supervisor/base", "supervisor/catalog", "supervisor/config"]),
    # The table as those see it who carry nothing out, and what is shown of rows.
    ("verbs' facts", ["supervisor/verbs/table.h", "supervisor/verbs/facts.c"], ["supervisor/base"]),
    ("views", ["supervisor/verbs/view*"], ["supervisor/base", "verbs' facts"]),
    ("supervisor/verbs", ["supervisor/verbs/*"],
     ["supervisor/base", "supervisor/catalog", "supervisor/config", "supervisor/node", "verbs' facts", "views"]),
    ("banks", ["supervisor/daemon/banks/*"], ["supervisor/base"]),
    ("supervisor/daemon", ["supervisor/daemon/*"],
     ["supervisor/base", "supervisor/catalog", "supervisor/config", "supervisor/node", "verbs' facts", "banks"]),
    ("supervisor/client", ["supervisor/client/*", "supervisor/include/shardgate/*"], ["supervisor/base", "verbs' facts"]),
    ("supervisor/cli", ["supervisor/cli/*"],
     ["supervisor/base", "supervisor/catalog", "supervisor/config", "verbs' facts", "views", "supervisor/client"]),
]

# Rooms that must not include a layer to the left, either, and why.
NOT_LEFT = {"shard/ach": ("storage/", "ach/ is pure: only proto/ and shard/ach/")}

# What is declared below and defined above on purpose: the table's two columns that only
# a node, or only who shows rows, can fill (supervisor/verbs/table.h).
DEFINED_ABOVE = "verbs_table verb_view_of".split()

# Files of one directory from the bottom up: each calls only those before it, so that
# no two of them have to be understood together.
ORDERED = {
    "shard/engine": """heap cache trail guards applied_row base conf persist send read scrub compare rebuild apply snapshot_take snapshot_send
        snapshot_recv timer turn recv propose member load group""".split(),
}

# Third-party header -> (files that may include it, how many of the program's at
# most). Tests are counted apart: they may look behind an adapter's back only
# where this says so.
THIRD_PARTY = [
    ("lmdb.h", ["storage/lmdb_*.c"], 2),
    ("raft.h", ["shard/engine/*.[ch]", "tests/unit/test_engine_*.c"], None),
    ("uv.h", ["supervisor/*.c"], 1),
    ("nng/*", ["supervisor/*.c"], 4),  # Between nodes, server, client; and the errors of these.
    ("yaml.h", ["supervisor/*.c"], 1),
    ("cyaml/*", ["supervisor/*.c"], 1),
    ("jansson.h", ["supervisor/*.[ch]", "tests/unit/test_sup_*.c", "tests/bench/*.[ch]"], None),
    ("sodium.h", ["proto/base/hash.c"], 1),
    ("protobuf-c/*", ["proto/*.[ch]", "tests/unit/test_proto_*.c"], None),
    ("*.pb-c.h", ["proto/*.c"], None),
    ("cmocka.h", ["tests/*"], None),
]

PURE = """assert ctype errno float inttypes iso646 limits locale math setjmp stdalign stdarg
    stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings endian""".split()
SYSTEM = """arpa/inet dirent fcntl fnmatch getopt libgen linux/fs netdb netinet/in netinet/tcp poll pthread
    sched semaphore signal sys/epoll sys/eventfd sys/file sys/ioctl sys/mman sys/prctl sys/random sys/resource
    sys/mount sys/socket sys/stat sys/statvfs sys/syscall sys/sysinfo sys/time sys/timerfd sys/types sys/uio sys/un sys/wait
    sysexits syslog termios threads time ucontext unistd""".split()

# Where the world may be touched directly: the adapters under the seams, and
# what stands outside the lanes.
NOT_LANE = [
    "proto/base/check.c", "proto/base/fault.c", "proto/base/hash.c", "proto/base/logger.c", "proto/base/mem.c",
    "storage/lmdb_*.c", "storage/writer*.c", "storage/spool*.c", "storage/lock_*.c",
    "storage/inspect*.c",
    "supervisor/*", "tests/*",
]
LANE_AGAIN = ["supervisor/catalog/*"]

SEAM = {
    "the clock": ("proto/base/loop.h", """time clock clock_gettime gettimeofday timespec_get localtime_r gmtime_r
        mktime timegm"""),
    "chance": ("proto/base/loop.h", "getrandom getentropy arc4random arc4random_uniform randombytes_buf"),
    "threads": ("proto/base/loop.h or storage/writer.h", r"""pthread_\w+ thrd_\w+ mtx_\w+ cnd_\w+ sem_wait sem_post
        fork kill"""),
    "files": ("storage/kv.h or shard/upload/bank.h", """open openat creat fopen fdopen fread fwrite read pread write pwrite
        close rename unlink fsync fdatasync mmap opendir stat fstat mkdir"""),
    "the network": ("shard/transport.h", "socket connect bind listen accept send sendto recv recvfrom poll select"),
    "the environment": ("a parameter", "getenv secure_getenv"),
}

# Nowhere, and what to use instead.
BANNED = {
    r"rand|srand|random|srandom|drand48": "loop_random() (proto/base/loop.h)",
    r"sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep": "an event or a timer (proto/base/loop.h)",
    r"malloc|calloc|realloc|strdup|strndup|reallocarray": "proto/base/mem.h",
    r"sprintf|vsprintf": "snprintf",
    r"strcpy|strcat|strncpy|strncat|stpcpy|gets": "proto/base/bytes.h, memcpy or snprintf",
    r"atoi|atol|atoll|atof|sscanf": "a parser that reports overflow",
    r"strtok|localtime|gmtime|ctime|asctime|getpwnam|gethostbyname": "the _r variant",
    r"setenv|putenv|unsetenv": "a parameter",
    r"alloca|system|popen|tmpnam|mktemp|longjmp|vfork": "nothing: leave it out",
    r"assert": "CHECK (proto/base/check.h), which stays on in release builds",
}
BANNED_BUT = [
    ("proto/base/mem.c", "malloc calloc realloc"),
    ("tests/*", "malloc calloc realloc setenv unsetenv atoi"),
    ("tests/*", "sscanf"),
    ("tests/sim/anomaly/memory.c", "longjmp"),  # A node ends here, and the program it is in does not.
    ("supervisor/daemon/banks/directory_file.c", "clock_nanosleep"),  # A rate limit is time that passes, off the lane.
    ("tests/unit/test_sup_uv_loop.c", "nanosleep"),  # Time that really passes is what it tests.
]

# Greatest values that a format or the calendar gives: facts, not limits we chose.
FACTS = "ABA_MAX DAY_MAX YEAR_MAX OFFSET_MAX_S VARINT_SIZE_MAX MICRO_ENTRY_MAX_CENTS".split()

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
CALL = re.compile(r"(?<![\w.>])(\w+)\s*\(")
DEFINITION = re.compile(r"^(?:[A-Za-z_][\w \t*]*[ \t*])(\w+)\(", re.MULTILINE)
# A function's body follows, or its declaration ends; static ones are of their file.
FUNCTION_BODY = re.compile(r"^(?!static\b)[A-Za-z_][\w \t*]*?[ \t*](\w+)\([^;{}]*\)\s*\{", re.MULTILINE)
PROTOTYPE = re.compile(r"^(?!static\b|typedef\b|#)[A-Za-z_][\w \t*]*?[ \t*](\w+)\([^;{}]*\)[^;{}()]*(?:\([^;{}]*\))?;",
                       re.MULTILINE)
LOG_QUOTE = re.compile(r'\blogger_line\([^;]*?=\\"%')
LIMIT = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w*_(?:MAX|LIMIT)(?:_\w+)?)[ \t]+(\S.*)$", re.MULTILINE)


def matches(name, patterns):
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def layer_of(name):
    top = name.split("/")[0]
    return source.LAYERS.index(top) if top in source.LAYERS else None


def on_lane(name):
    if matches(name, LANE_AGAIN):
        return True
    return layer_of(name) is not None and not matches(name, NOT_LANE)


def third_party_rule(header):
    for rule in THIRD_PARTY:
        if fnmatch.fnmatch(header, rule[0]):
            return rule
    return None


def room_of(name):
    """The row of ROOMS that a file belongs to, or None."""
    for row in ROOMS:
        # A room is one directory: its stars stand for no slash.
        if any(name.count("/") == pattern.count("/") and fnmatch.fnmatch(name, pattern) for pattern in row[1]):
            return row
    return None


def check_own_include(name, header, known):
    """What is wrong with name including "header", or None."""
    top = header.split("/")[0]
    if top == "shardgate":
        if name.startswith(("supervisor/", "tests/", "docs/")):
            return None
        return f'"{header}": the public headers are the supervisor\'s'
    if top not in source.LAYERS and top != "tests":
        return f'"{header}": write includes from the root of the repository'
    if header not in known:
        return f'"{header}": no such file'
    mine, other = layer_of(name), layer_of(header)
    if mine is None:
        return None
    if other is None or other > mine:
        return f'"{header}": an include goes only to the left ({" <- ".join(source.LAYERS)})'
    room, target = room_of(name), room_of(header)
    never = NOT_LEFT.get(room[0]) if room else None
    if never and header.startswith(never[0]):
        return f'"{header}": {never[1]}'
    if mine == other and room and target and target[0] != room[0] and target[0] not in room[2]:
        return f'"{header}": {room[0]} does not include {target[0]} (ROOMS in layers.py)'
    return None


def check_system_include(name, header):
    stem = header[:-2] if header.endswith(".h") else header
    if stem in PURE:
        return None
    if stem not in SYSTEM:
        return f"<{header}>: not in the list of headers this program uses (layers.py)"
    # unistd.h, sys/types.h and time.h also hold types and constants: calls tell.
    if on_lane(name) and stem not in ("sys/types", "time", "unistd"):
        return f"<{header}>: runs on a lane; reach the world through a seam"
    return None


def check_includes(name, text, known, users):
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        kind, header = match.groups()
        rule = third_party_rule(header)
        if rule:
            pattern, allowed, _ = rule
            problem = None
            if matches(name, allowed):
                users.setdefault(pattern, set()).add(name)
            else:
                problem = f"{header}: only in {', '.join(allowed)}"
        elif kind == '"':
            problem = check_own_include(name, header, known)
        else:
            problem = check_system_include(name, header)
        if problem:
            yield name, line, problem


def check_calls(name, text):
    lane = on_lane(name)
    own = set(DEFINITION.findall(text))
    for match in CALL.finditer(text):
        word = match.group(1)
        if word in own:  # A function of this file that happens to be called so.
            continue
        line = text.count("\n", 0, match.start()) + 1
        for pattern, instead in BANNED.items():
            excused = any(matches(name, [p]) and word in w.split() for p, w in BANNED_BUT)
            if re.fullmatch(pattern, word) and not excused:
                yield name, line, f"{word}(): use {instead}"
        if not lane:
            continue
        for what, (seam, words) in SEAM.items():
            if any(re.fullmatch(w, word) for w in words.split()):
                yield name, line, f"{word}(): runs on a lane; reach {what} through {seam}"


def check_order(directory, order, texts):
    """Calls between the files of a directory go down only."""
    files = {name: text for name, text in texts.items() if os.path.dirname(name) == directory and name.endswith(".c")}
    home = {}
    for name, text in files.items():
        stem = os.path.basename(name)[:-2]
        if stem not in order:
            yield name, 1, f"{stem}: give it its place in ORDERED (layers.py)"
            continue
        for match in DEFINITION.finditer(text):
            line = text[text.rfind("\n", 0, match.start(1)) + 1:match.end()]
            opens = re.match(r"[^;{]*\)\s*\{", text[match.end():])
            if opens and not line.startswith("static"):
                home[match.group(1)] = stem
    for name, text in files.items():
        stem = os.path.basename(name)[:-2]
        for match in re.finditer(r"(?<![\w.>])(\w+)\b", text):
            other = home.get(match.group(1))
            if stem in order and other is not None and order.index(other) > order.index(stem):
                yield name, text.count("\n", 0, match.start()) + 1, \
                    f"{match.group(1)}: {other}.c stands above {stem}.c, which must not call it"


def check_limits(name, text):
    if name == "proto/base/limits.h" or layer_of(name) is None:
        return
    for match in LIMIT.finditer(text):
        value = match.group(2)
        # A limit that follows from another one, or from a type, may stand where it is used.
        derived = re.search(r"[A-Z][A-Z0-9]*_(?:MAX|MIN|SIZE|LIMIT)|sizeof", value)
        if re.search(r"\d", value) and not derived and match.group(1) not in FACTS:
            line = text.count("\n", 0, match.start()) + 1
            yield name, line, f"{match.group(1)}: limits stand in proto/base/limits.h"


def check_log_lines(name, text):
    if layer_of(name) is None:
        return
    for match in LOG_QUOTE.finditer(text):
        yield name, text.count("\n", 0, match.start()) + 1, "logger_line(): quotes are made by LOG_TEXT(), which escapes"


def check_guard(name, text):
    if not name.endswith(".h"):
        return
    path = name.split("/include/")[-1]
    guard = re.sub(r"\W", "_", path).upper()
    if not re.search(rf"^#ifndef {guard}\n#define {guard}$", text, re.MULTILINE):
        yield name, 1, f"include guard must be {guard}"


def check_rooms(names):
    for name in names:
        if layer_of(name) is not None and room_of(name) is None:
            yield name, 1, "in no room: give it a row of ROOMS in scripts/checks/layers.py"
    seen = []
    for room, _, uses in ROOMS:
        for other in uses:
            if other not in seen:
                yield "scripts/checks/layers.py", 1, f"ROOMS: {room} uses {other}, which does not stand above it"
        seen.append(room)


def check_definitions(codes):
    """A function that a room's header declares is defined in that room."""
    defined = {}
    for name, code in codes.items():
        if name.endswith(".c") and layer_of(name) is not None:
            for function in FUNCTION_BODY.findall(code):
                defined.setdefault(function, set()).add(name)
    for name, code in codes.items():
        room = room_of(name)
        if not name.endswith(".h") or room is None:
            continue
        for match in PROTOTYPE.finditer(code):
            function = match.group(1)
            homes = {room_of(n)[0] for n in defined.get(function, ()) if room_of(n)}
            if homes and room[0] not in homes and function not in DEFINED_ABOVE:
                line = code.count("\n", 0, match.start(1)) + 1
                yield name, line, f"{function}(): declared in {room[0]}, defined in {', '.join(sorted(homes))}"


def check_counts(users):
    for pattern, _, most in THIRD_PARTY:
        here = sorted(n for n in users.get(pattern, ()) if not n.startswith("tests/"))
        if most is not None and len(here) > most:
            yield here[-1], 1, f"{pattern}: in {len(here)} files ({', '.join(here)}), at most {most} adapters"


def check_unused(texts):
    used = set()
    for text in texts.values():
        used.update(match.group(2) for match in INCLUDE.finditer(text))
    for name in texts:
        if name.endswith(".h") and "/include/" not in name and name not in used:
            yield name, 1, "no file includes this header"


def main():
    root = source.root_argument()
    names = [n for n in source.files(root, [".c", ".h"]) if layer_of(n) is not None
             or n.startswith("tests/") and not n.startswith("tests/install/")]
    known = set(names)
    problems, users, texts, codes = [], {}, {}, {}
    for name in names:
        code = source.read(root, name)
        with_strings = source.without_comments(code, keep_strings=True)
        texts[name] = with_strings
        codes[name] = source.without_comments(code)
        problems += check_includes(name, with_strings, known, users)
        problems += check_calls(name, codes[name])
        problems += check_limits(name, with_strings)
        problems += check_log_lines(name, with_strings)
        problems += check_guard(name, with_strings)
    for directory, order in ORDERED.items():
        problems += check_order(directory, order, {n: codes[n] for n in names if n.startswith(directory + "/")})
    problems += check_rooms(names)
    problems += check_definitions(codes)
    problems += check_counts(users)
    problems += check_unused(texts)
    source.report(problems)


if __name__ == "__main__":
    main()
