#!/usr/bin/env python3
"""The checks' own tests: each check must pass a good tree and find what is wrong
in a bad one. A check that cannot fail checks nothing.

Each row: a reason, the check, the files of a small tree, and what the check must
say (None: nothing).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def header(path, body=""):
    guard = path.replace("/", "_").replace(".", "_").upper()
    return f"#ifndef {guard}\n#define {guard}\n{body}#endif\n"


GOOD = {
    "proto/base/limits.h": header("proto/base/limits.h", "#define ROWS_MAX 16\n"),
    "proto/a.c": '#include "proto/base/limits.h"\n',
    "shard/state/b.c": '#include <string.h>\n\n#include "proto/base/limits.h"\n',
}

LAYERS = [
    ("includes to the left are fine", {}, None),
    ("an include to the right", {"storage/x.c": '#include "shard/b.h"\n', "shard/b.h": header("shard/b.h")},
     "storage/x.c:1: \"shard/b.h\": an include goes only to the left"),
    ("a test may include everything", {"tests/unit/t.c": '#include "shard/b.h"\n', "shard/b.h": header("shard/b.h")},
     None),
    ("no layer may include a test's helper",
     {"shard/x.c": '#include "tests/support/h.h"\n', "tests/support/h.h": header("tests/support/h.h")},
     "an include goes only to the left"),
    ("an include in a comment is none", {"storage/x.c": '/*\n#include "shard/b.h"\n*/\n'}, None),
    ("a path that is not from the root", {"proto/x.c": '#include "limits.h"\n'},
     "write includes from the root of the repository"),
    ("a header that does not exist", {"proto/x.c": '#include "proto/nowhere.h"\n'}, "no such file"),
    ("ACH code that knows the store", {"shard/ach/x.c": '#include "storage/kv.h"\n', "storage/kv.h":
                                       header("storage/kv.h")}, "ach/ is pure"),
    ("ACH code that knows the engine", {"shard/ach/x.c": '#include "shard/engine/e.h"\n', "shard/engine/e.h":
                                        header("shard/engine/e.h")}, "shard/ach does not include shard/engine"),
    ("the state machine that knows Raft", {"shard/state/x.c": '#include "shard/engine/e.h"\n', "shard/engine/e.h":
                                           header("shard/engine/e.h")}, "shard/state does not include shard/engine"),
    ("the engine that knows ACH", {"shard/engine/x.c": '#include "shard/ach/e.h"\n', "shard/ach/e.h":
                                   header("shard/ach/e.h")}, "shard/engine does not include shard/ach"),
    ("a seam is for those below the shard, too",
     {"shard/engine/conf.c": '#include "shard/machine.h"\n', "shard/machine.h": header("shard/machine.h")}, None),
    ("a duty that knows the shard it is part of",
     {"shard/duties/x.c": '#include "shard/shard.h"\n', "shard/shard.h": header("shard/shard.h")},
     "shard/duties/x.c:1: \"shard/shard.h\": shard/duties does not include shard"),
    ("a duty that knows the upload", {"shard/duties/x.c": '#include "shard/upload/u.h"\n', "shard/upload/u.h":
                                      header("shard/upload/u.h")}, "shard/duties does not include shard/upload"),
    ("an upload that knows the duties", {"shard/upload/x.c": '#include "shard/duties/d.h"\n', "shard/duties/d.h":
                                         header("shard/duties/d.h")}, None),
    ("a node that knows its verbs", {"supervisor/node/x.c": '#include "supervisor/verbs/v.h"\n',
                                     "supervisor/verbs/v.h": header("supervisor/verbs/v.h")},
     "supervisor/node does not include supervisor/verbs"),
    ("a node that calls its verbs through a header of its own",
     {"supervisor/node/n.h": header("supervisor/node/n.h", "void verb_run(struct call *c,\n              int n);\n"),
      "supervisor/node/n.c": '#include "supervisor/node/n.h"\n',
      "supervisor/verbs/v.c": "void verb_run(struct call *c, int n)\n{\n    (void)c;\n}\n"},
     "supervisor/node/n.h:3: verb_run(): declared in supervisor/node, defined in supervisor/verbs"),
    ("a function that prints, declared in one room and defined in another",
     {"supervisor/node/n.h": header("supervisor/node/n.h", "void fail(int n, ...) PRINTF_LIKE(1, 2);\n"),
      "supervisor/node/n.c": '#include "supervisor/node/n.h"\n',
      "supervisor/verbs/v.c": "void fail(int n, ...)\n{\n    (void)n;\n}\n"},
     "fail(): declared in supervisor/node, defined in supervisor/verbs"),
    ("a header's function in another file of the room",
     {"supervisor/node/n.h": header("supervisor/node/n.h", "MUST_USE enum sg_err f(int n);\n"),
      "supervisor/node/n.c": '#include "supervisor/node/n.h"\n',
      "supervisor/node/o.c": "enum sg_err f(int n)\n{\n    return n;\n}\n"}, None),
    ("a static function elsewhere that is called the same",
     {"supervisor/node/n.h": header("supervisor/node/n.h", "int f(int n);\n"),
      "supervisor/node/n.c": '#include "supervisor/node/n.h"\n',
      "supervisor/verbs/v.c": "static int f(int n)\n{\n    return n;\n}\n"}, None),
    ("a view that knows the node", {"supervisor/verbs/view_x.c": '#include "supervisor/node/n.h"\n',
                                    "supervisor/node/n.h": header("supervisor/node/n.h")},
     "views does not include supervisor/node"),
    ("a configuration that knows the process",
     {"supervisor/config/x.c": '#include "supervisor/daemon/d.h"\n', "supervisor/daemon/d.h":
      header("supervisor/daemon/d.h")}, "supervisor/config does not include supervisor/daemon"),
    ("a file in no room", {"supervisor/x.c": "int a;\n"}, "supervisor/x.c:1: in no room"),
    ("a directory that is no room", {"shard/new/x.c": "int a;\n"}, "shard/new/x.c:1: in no room"),
    ("a file that calls one above it",
     {"shard/engine/conf.c": "void conf_x(void)\n{\n    turn_step();\n}\n",
      "shard/engine/turn.c": "void turn_step(void)\n{\n}\n"},
     "shard/engine/conf.c:3: turn_step: turn.c stands above conf.c"),
    ("a file that calls one below it",
     {"shard/engine/conf.c": "void conf_x(void)\n{\n}\n",
      "shard/engine/turn.c": "void turn_step(void)\n{\n    conf_x();\n}\n"}, None),
    ("a file without a place", {"shard/engine/more.c": "int more;\n"}, "give it its place in ORDERED"),
    ("LMDB outside its adapter", {"storage/x.c": "#include <lmdb.h>\n"}, "lmdb.h: only in storage/lmdb_*.c"),
    ("LMDB in its adapter", {"storage/lmdb_kv.c": "#include <lmdb.h>\n"}, None),
    ("libraft outside the engine", {"shard/x.c": "#include <raft.h>\n"}, "raft.h: only in"),
    ("libuv in a second file", {"supervisor/base/a.c": "#include <uv.h>\n", "supervisor/base/b.c": "#include <uv.h>\n"},
     "uv.h: in 2 files"),
    ("an unknown library", {"supervisor/base/a.c": "#include <curses.h>\n"}, "not in the list of headers"),
    ("a public header seen from below", {"shard/x.c": '#include "shardgate/client.h"\n'}, "the supervisor's"),
    ("generated code outside the codecs", {"shard/x.c": '#include "entry.pb-c.h"\n'}, "only in proto/*.c"),
    ("a clock on a lane", {"shard/x.c": "int f(void)\n{\n    return time(NULL);\n}\n"},
     "shard/x.c:3: time(): runs on a lane"),
    ("a function of the file's own that is called like one of the system's",
     {"shard/x.c": "static int accept(int a)\n{\n    return a;\n}\n\nint b = accept(1);\n"}, None),
    ("a clock read through the seam", {"shard/x.c": "int f(struct loop *l)\n{\n    return l->time(l);\n}\n"}, None),
    ("a clock named in a string or comment", {"shard/x.c": 'const char *s = "time(now)"; /* time(x) */\n'}, None),
    ("a thread on a lane", {"shard/x.c": "#include <pthread.h>\n"}, "runs on a lane"),
    ("a thread started on a lane", {"supervisor/catalog/x.c": "int x = pthread_create(0, 0, 0, 0);\n"},
     "pthread_create(): runs on a lane"),
    ("a thread outside the lanes", {"supervisor/base/x.c": "#include <pthread.h>\n"}, None),
    ("a file opened on a lane", {"shard/state/x.c": "int x = open(0, 0);\n"}, "open(): runs on a lane"),
    ("chance, anywhere", {"supervisor/base/x.c": "int x = rand();\n"}, "rand(): use loop_random()"),
    ("a sleep, anywhere", {"tests/unit/x.c": "int x = usleep(5);\n"}, "usleep(): use an event"),
    ("an assertion that release builds drop", {"proto/x.c": "void f(void)\n{\n    assert(0);\n}\n"},
     "assert(): use CHECK"),
    ("memory outside proto/base/mem.h", {"shard/x.c": "void *p = malloc(5);\n"}, "malloc(): use proto/base/mem.h"),
    ("a limit elsewhere", {"shard/x.c": "#define QUEUE_MAX 64\n"}, "QUEUE_MAX: limits stand in proto/base/limits.h"),
    ("a limit elsewhere, with a unit", {"shard/x.c": "#define QUEUE_MAX_BYTES (1u << 20)\n"}, "limits stand in"),
    ("a limit that follows from another", {"shard/x.c": "#define QUEUE_MAX (ROWS_MAX * 2)\n"}, None),
    ("a value in a log line that is quoted and not escaped",
     {"shard/x.c": 'void f(void)\n{\n    logger_line(0, 0, "x",\n                "why=\\"%s\\"", w);\n}\n'},
     "shard/x.c:3: logger_line(): quotes are made by LOG_TEXT()"),
    ("a value in a log line that is escaped",
     {"shard/x.c": 'void f(void)\n{\n    logger_line(0, 0, "x", "why=%s", LOG_TEXT("\\""));\n    g("\\"");\n}\n'}, None),
    ("a wrong include guard", {"proto/base/limits.h": "#ifndef LIMITS\n#define LIMITS\n#endif\n"},
     "include guard must be PROTO_BASE_LIMITS_H"),
    ("a header nobody includes", {"proto/dead.h": header("proto/dead.h")}, "no file includes this header"),
]

WORDS = [
    ("plain text is fine", {"README.md": "Text with nothing in it.\n"}, None),
    ("a home directory", {"a.c": "/ho" + "me/someone/x\n"}, "a path of one machine"),
    ("a root's directory", {"a.c": 'char *s = "/ro' + 'ot/x";\n'}, "a path of one machine"),
    ("a build directory", {"a.c": "see /wo" + "rk/x\n"}, "a path of one machine"),
    ("a path that only ends like one", {"a.c": "tests/wo" + "rk/x\n"}, None),
    ("work left for later", {"a.c": "/* TO" + "DO: more */\n"}, "unfinished work"),
    ("a merge mark", {"a.c": "<" * 7 + " HEAD\n"}, "merge mark"),
    ("a trailing blank", {"a.c": "int a; \n"}, "blanks at the end"),
    ("a tab", {"a.c": "\tint a;\n"}, "a tab"),
    ("blanks in an ACH file belong to it", {"a.ach": "101 \n"}, None),
    ("a last line without an end", {"a.c": "int a;"}, "no newline"),
    ("a fuzz corpus holds any bytes", {"tests/fuzz/corpus/ach/x": "#!\t \r\0\udcff"}, None),
]


def function(lines):
    return "int f(void)\n{\n" + "    g();\n" * (lines - 3) + "}\n"


SIZES = [
    ("a function at the limit", {"a.c": function(70)}, None),
    ("a function over the limit", {"a.c": function(71)}, "a.c:1: a function of 71 lines"),
    ("a signature over two lines counts", {"a.c": "int f(int a,\n      int b)" + function(70)[11:]},
     "a function of 71 lines"),
    ("a comment above does not count", {"a.c": "/* Why. */\n" + function(70)}, None),
    ("a table is no function", {"a.c": "int a[] = {\n" + "    1,\n" * 100 + "};\n"}, None),
    ("a file at the limit", {"a.c": "\n" * 600}, None),
    ("a file over the limit", {"a.c": "\n" * 601}, "601 lines"),
    ("a script counts, too", {"tool": "#!/usr/bin/env bash\n" + "\n" * 600}, "601 lines"),
    ("an input of a fuzz corpus is no script", {"tests/fuzz/corpus/ach/x": "#!\udcff" + "\n" * 700}, None),
]

SYNTAX = [
    ("good scripts", {"a": "#!/usr/bin/env bash\nset -euo pipefail\ntrue\n", "b.py": "x = 1\n"}, None),
    ("a shell script that does not parse", {"a": "#!/usr/bin/env bash\nset -euo pipefail\nif true\n"}, "bash -n"),
    ("a shell script that goes on after errors", {"a.sh": "#!/usr/bin/env bash\ntrue\n"}, "set -euo pipefail"),
    ("what shellcheck finds", {"a.sh": "#!/usr/bin/env bash\nset -euo pipefail\nrm $1\n"}, "SC2086"),
    ("Python that does not parse", {"b.py": "x = = 1\n"}, "does not parse"),
]

FLAGS = """cmake_minimum_required(VERSION 3.25)
project(flags C)
set(CMAKE_C_STANDARD 11)
set(SHARDGATE_WERROR ON)
include(%s/scripts/cmake/ShardgateFlags.cmake)
add_library(x OBJECT x.c)
target_link_libraries(x PRIVATE shardgate_flags)
""" % ROOT
NARROWING = "int f(long a);\n\nint f(long a)\n{\n    return a;\n}\n"
DIVISION = "int f(int a);\n\nint f(int a)\n{\n    int b = 0;\n    return a / b;\n}\n"


NAMES = [
    ("a test that exists", {"docs/a.md": "see `test_it_holds`\n", "tests/t.c": "void test_it_holds(void);\n"}, None),
    ("a test that was renamed", {"docs/a.md": "see `test_it_holds`\n", "tests/t.c": "void test_it(void);\n"},
     "docs/a.md:1: test_it_holds: nothing has this name"),
    ("a function", {"a.md": "`raft_go()` does it\n"}, "raft_go: nothing has this name"),
    ("a name that only another document has", {"a.md": "`raft_go`\n", "b.md": "raft_go\n"}, "nothing has this name"),
    ("a name of ctest", {"a.md": "`sim_regress`\n", "tests/t.cmake": "foreach(name regress)\n"}, None),
    ("a path", {"a.md": "`shard/a.c` or `shard/*.c`\n", "shard/a.c": "int a;\n"}, None),
    ("a path that is gone", {"a.md": "`shard/b.c`\n", "shard/a.c": "int a;\n"}, "shard/b.c: no such file"),
    ("a link", {"docs/a.md": "[it](../b.md#part) [there](https://example.net/x)\n", "b.md": "text\n"}, None),
    ("code that cites a document", {"a.c": "/* docs/b.md, b.md */\n", "docs/b.md": "text\n"}, None),
    ("code that cites what is elsewhere", {"a.c": "/* see design.md */\n"}, "a.c:1: design.md: no such document"),
    ("an event that operators can look up",
     {"docs/operations.md": "| event | means |\n|---|---|\n| `disk.full` | it is |\n",
      "a.c": 'logger_line(LOG_WARN, &scope, "disk.full", "n=1");\n'}, None),
    ("an event that they can't", {"docs/operations.md": "", "a.c": 'apply_event(a, "file.sealed", 1);\n'},
     "a.c:1: file.sealed: not in the tables"),
    ("an event that is made no more", {"docs/operations.md": "| event |\n|---|\n| `disk.full` |\n"},
     "docs/operations.md:3: disk.full: nothing makes this event"),
    ("a link that leads nowhere", {"docs/a.md": "[it](b.md)\n", "b.md": "text\n"}, "docs/a.md:1: b.md: no such file"),
]


class Tree:
    """A directory with the given files, removed afterwards."""

    def __init__(self, files):
        self.files = files

    def __enter__(self):
        self.path = tempfile.mkdtemp()
        for name, text in self.files.items():
            path = os.path.join(self.path, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(text)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def run(self, *command):
        done = subprocess.run(command, cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout.decode()


class Checks(unittest.TestCase):
    def rows(self, check, rows, base):
        script = os.path.join(ROOT, "scripts", "checks", check + ".py")
        for reason, files, expected in rows:
            with self.subTest(reason), Tree({**base, **files}) as tree:
                status, output = tree.run(sys.executable, script)
                if expected is None:
                    self.assertEqual((status, output), (0, ""))
                else:
                    self.assertEqual(status, 1)
                    self.assertIn(expected, output)

    def test_layers(self):
        self.rows("layers", LAYERS, GOOD)

    def test_words(self):
        self.rows("words", WORDS, {})

    def test_names(self):
        self.rows("names", NAMES, {})

    def test_sizes(self):
        self.rows("sizes", SIZES, {})

    def test_syntax(self):
        self.rows("syntax", SYNTAX, {})

    def test_format(self):
        with open(os.path.join(ROOT, ".clang-format"), encoding="utf-8") as file:
            style = file.read()
        for text, expected in (("int f(void)\n{\n    return 1;\n}\n", 0), ("int f(void) { return 1; }\n", 1)):
            with Tree({".clang-format": style, "a.c": text}) as tree:
                self.assertEqual(tree.run("clang-format", "--dry-run", "-Werror", "a.c")[0], expected)

    def test_tidy(self):
        with open(os.path.join(ROOT, ".clang-tidy"), encoding="utf-8") as file:
            configuration = file.read()
        script = os.path.join(ROOT, "scripts", "checks", "tidy.py")
        for text, expected in (("int f(int a);\n", 0), (DIVISION, 1)):
            with Tree({".clang-tidy": configuration, "a.c": text}) as tree:
                command = {"directory": tree.path, "file": os.path.join(tree.path, "a.c"),
                           "command": "cc -o a.o -c a.c"}
                os.mkdir(os.path.join(tree.path, "out"))
                with open(os.path.join(tree.path, "out", "compile_commands.json"), "w", encoding="utf-8") as file:
                    json.dump([command], file)
                status, output = tree.run(sys.executable, script, "out")
                self.assertEqual(status, expected, output)
                again, _ = tree.run(sys.executable, script, "out")
                self.assertEqual(again, expected, "what was clean or not stays so")

    def test_warnings_are_errors(self):
        for compiler in ("gcc", "clang"):
            with Tree({"CMakeLists.txt": FLAGS, "x.c": NARROWING}) as tree:
                status, output = tree.run("cmake", "-G", "Ninja", "-B", "out", f"-DCMAKE_C_COMPILER={compiler}")
                self.assertEqual(status, 0, output)
                status, output = tree.run("ninja", "-C", "out")
                self.assertNotEqual(status, 0)
                self.assertIn("conversion", output)

    def test_another_libraft_is_refused(self):
        old = "#define RAFT_VERSION_NUMBER 1500\n"
        with Tree({"include/raft.h": old, "lib/libraft.a": ""}) as tree:
            status, output = tree.run("cmake", "--preset", "release", "-S", ROOT, "-B", tree.path + "/out",
                                      f"-DSHARDGATE_RAFT_PREFIX={tree.path}")
            self.assertNotEqual(status, 0)
            self.assertIn("is not libraft 0.22.1", output)


if __name__ == "__main__":
    # An interrupt must unwind, so that the trees are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unittest.main()
