"""A cluster of real shardgated processes on loopback, for tests.

    from harness import Cluster, check, main

    def test_something():
        with Cluster() as c:
            c.start()
            c.apply(shard())
            ...

    main()

Every wait ends with an event (a log line, an answer, the end of a process) or
fails after a generous limit; none is a fixed sleep. A node that ends without
the test having ended it fails the test. Processes are ended by their id, also
when the test fails or is interrupted; the kernel ends them if this process
dies without a chance to.
"""

import ctypes
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("SHARDGATE_BIN_DIR", os.path.join(ROOT, "build", "test", "bin"))
LIMIT_S = 30
LOG_LINES_SHOWN = 60

_libc = ctypes.CDLL(None)


class Failure(Exception):
    """What the test expected did not happen."""


class Skip(Exception):
    """This machine cannot run the test."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def same(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: found {found!r}, wanted {wanted!r}")


def until(what, probe, limit=LIMIT_S, every=0.02):
    """The first true value of probe()."""
    end = time.monotonic() + limit
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"after {limit} s still not: {what}")
        time.sleep(every)


def program(name, where=None):
    path = os.path.join(where or BIN, name)
    if not os.access(path, os.X_OK):
        raise Failure(f"{path} is not there: build it, or set SHARDGATE_BIN_DIR")
    return path


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _free_ports(count):
    """Below the range that the system gives to outgoing connections, so that a
    stopped node finds its port free when it comes back."""
    ports = []
    while len(ports) < count:
        port = random.randrange(20000, 30000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


class Node:
    """One shardgated. alive, stopped (SIGSTOP) or ended."""

    def __init__(self, cluster, name, peer, client):
        self.cluster = cluster
        self.name = name
        self.peer = f"tcp://127.0.0.1:{peer}"
        self.client = f"tcp://127.0.0.1:{client}"
        self.dir = os.path.join(cluster.dir, name)
        self.config = os.path.join(cluster.dir, name + ".yaml")
        self.log = os.path.join(cluster.dir, name + ".log")
        self.proc = None
        self.paused = False
        self.may_die = False
        self.bin = None  # A directory of programs other than those under test.

    def start(self, fault=None, bug=None):
        """fault: names as SHARDGATE_FAULT takes them; the node may die of it."""
        check(not self.alive(), f"{self.name} runs already")
        env = dict(os.environ, SHARDGATE_FAULT=fault or "", SHARDGATE_BUG=bug or "")
        self.may_die = fault is not None
        self.paused = False
        with open(self.log, "ab") as log:
            log.write(f"--- start, fault {fault}\n".encode())
            self.proc = subprocess.Popen(
                [program("shardgated", self.bin), "--config", self.config],
                cwd=self.cluster.dir, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=_die_with_parent)
        return self

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def kill(self):
        """SIGKILL, and gone."""
        if self.proc is not None and self.proc.poll() is None:
            self.may_die = True
            self.proc.kill()
            self.proc.wait()

    def kill_fast(self):
        """SIGKILL; returns the moment it was sent."""
        self.may_die = True
        now = time.monotonic()
        self.proc.kill()
        return now

    def pause(self):
        self.proc.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.proc.send_signal(signal.SIGCONT)
        self.paused = False

    def is_frozen(self):
        """Stopped by a signal, whoever sent it."""
        with open(f"/proc/{self.proc.pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] == "T"

    def terminate(self):
        self.may_die = True
        self.proc.terminate()

    def wait_end(self, limit=LIMIT_S):
        """Its exit status; negative: the signal."""
        try:
            return self.proc.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {limit} s") from None

    def rss_kib(self):
        with open(f"/proc/{self.proc.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise Failure(f"no VmRSS of {self.name}")

    def cpu_s(self):
        with open(f"/proc/{self.proc.pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def log_mark(self):
        return os.path.getsize(self.log)

    def wait_log(self, text, mark=0, limit=LIMIT_S):
        """The first line after mark that contains text."""

        def look():
            with open(self.log, encoding="utf-8", errors="replace") as f:
                f.seek(mark)
                return next((line for line in f if text in line), None)

        return until(f"'{text}' in the log of {self.name}", look, limit)


class Cluster:
    def __init__(self, count=3, name="test", settings=None):
        """settings: more lines for every node's configuration, as a dict."""
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="shardgate-")
        ports = _free_ports(2 * count)
        self.nodes = [Node(self, f"n{i + 1}", ports[2 * i], ports[2 * i + 1]) for i in range(count)]
        self.settings = dict(settings or {})
        self.watched = []  # Things with a close().
        for node in self.nodes:
            self.write_config(node)

    def write_config(self, node, data_dir=None):
        lines = [f"cluster: {self.name}", f"node: {node.name}", f"data_dir: {data_dir or node.name}",
                 f"peer: {node.peer}", f"client: {node.client}", "nodes:"]
        lines += [f"  {n.name}: {{peer: {n.peer}, client: {n.client}}}" for n in self.nodes]
        lines += [f"{key}: {value}" for key, value in self.settings.items()]
        with open(node.config, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.check_alive()
        except Failure:
            self.show()
            raise
        finally:
            if kind is not None and not issubclass(kind, Skip):
                self.show()
            self.close()

    def check_alive(self):
        for node in self.nodes:
            if node.proc is not None and not node.may_die:
                check(node.proc.poll() is None, f"{node.name} ended by itself: {node.proc.poll()}")
            text = node.log_text() if os.path.exists(node.log) else ""
            check("CHECK failed" not in text and "ERROR: " not in text, f"a CHECK or sanitizer struck in {node.name}")

    def show(self):
        """For a person: what each node said last."""
        for node in self.nodes:
            state = "not started" if node.proc is None else f"status {node.proc.poll()}"
            print(f"--- {node.name}: {state}, {node.log}", file=sys.stderr)
            if os.path.exists(node.log):
                for line in node.log_text().splitlines()[-LOG_LINES_SHOWN:]:
                    print("    " + line, file=sys.stderr)

    def close(self):
        for thing in self.watched:
            thing.close()
        for node in self.nodes:
            if node.alive():
                node.proc.send_signal(signal.SIGCONT)
                node.kill()
        if os.environ.get("SHARDGATE_KEEP"):
            print(f"kept: {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # --- Nodes ------------------------------------------------------------

    def start(self):
        for node in self.nodes:
            if not node.alive():
                node.start()
        self.wait_up()

    def wait_up(self, *nodes):
        for node in nodes or self.nodes:
            until(f"{node.name} is up", lambda n=node: self.ping(n).startswith("UP "))

    def ping(self, node):
        return self.cli("ping", node.client, to=[node]).stdout.strip()

    def node(self, name):
        return next(n for n in self.nodes if n.name == name)

    def others(self, *nodes):
        return [n for n in self.nodes if n not in nodes]

    def running(self):
        return [n for n in self.nodes if n.alive() and not n.paused]

    # --- The tool ---------------------------------------------------------

    def cli(self, *args, to=None, given=None, limit=60):
        """Runs shardgate; returns its CompletedProcess, whatever the status."""
        env = dict(os.environ)
        env["SHARDGATE_CONNECT"] = ",".join(n.client for n in (to or self.running() or self.nodes))
        try:
            return subprocess.run([program("shardgate"), *map(str, args)], cwd=self.dir, env=env, input=given,
                                  capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            raise Failure(f"shardgate {' '.join(map(str, args))} hung for {limit} s") from None

    def run(self, *args, status=0, **more):
        """As cli(), and the exit status must be this."""
        done = self.cli(*args, **more)
        check(done.returncode == status,
              f"shardgate {' '.join(map(str, args))}: status {done.returncode}, wanted {status}\n"
              f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done

    def ask(self, *args, status=0, **more):
        """The JSON document that a verb prints."""
        done = self.run(*args, "-o", "json", status=status, **more)
        try:
            document = json.loads(done.stdout)
        except ValueError:
            raise Failure(f"shardgate {' '.join(map(str, args))}: not JSON: {done.stdout[:500]!r}") from None
        same(document.get("v"), 1, f"v of {args}")
        return document

    def submit(self, transfers, **more):
        """The results, one for each transfer in order. All must have an outcome."""
        text = "".join(json.dumps(t) + "\n" for t in transfers)
        answer = json.loads(self.submit_text(text, **more).stdout)
        same(len(answer["results"]), len(transfers), "results of a submission")
        return answer["results"]

    def submit_text(self, text, to=None):
        done = self.cli("transfers", "submit", "-", "-o", "json", to=to, given=text)
        check(done.returncode in (0, 1), f"submit: status {done.returncode}\n{done.stdout[-500:]}{done.stderr[-500:]}")
        return done

    def accept(self, transfers, **more):
        """As submit(), and every one must be accepted now."""
        for result in self.submit(transfers, **more):
            same(result["outcome"], "accepted", f"outcome of {result}")

    # --- Shards -------------------------------------------------------------

    def apply(self, text, status=0, **more):
        path = os.path.join(self.dir, "cluster.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return self.run("apply", "-f", path, status=status, **more)

    def leader(self, aba, among=None):
        """The node that leads by all of the running nodes' accounts."""
        nodes = among or self.running()

        def look():
            answers = set()
            for node in nodes:
                done = self.cli("leader", "show", aba, "-o", "json", to=[node])
                answers.add(json.loads(done.stdout)["leader"] if done.returncode == 0 else None)
            name = answers.pop() if len(answers) == 1 else None
            return name is not None and self.node(name) in nodes and self.node(name)

        return until(f"{aba} has a leader", look)

    def lead(self, aba, node):
        """Makes this node the leader. A node with a fault may die of it."""

        def move():
            if not node.alive():
                return node.may_die
            done = self.cli("leader", "transfer", aba, "--to", node.name, "--force", "-o", "json", to=self.others(node))
            return done.returncode == 0 and json.loads(done.stdout)["outcome"] in ("TRANSFERRED", "ALREADY_LEADER")

        until(f"{node.name} leads {aba}", move, every=0.1)

    def files(self, aba, **more):
        return self.ask("files", "list", aba, **more)["files"]

    def wait_files(self, aba, state, count=1, limit=LIMIT_S):
        """Until this many files are in this state; returns all files."""

        def look():
            done = self.cli("files", "list", aba, "-o", "json")
            files = json.loads(done.stdout)["files"] if done.returncode == 0 else []
            return files if sum(f["state"] == state for f in files) >= count else None

        return until(f"{count} file(s) of {aba} {state}", look, limit)

    def hashes_equal(self, aba, limit=LIMIT_S):
        """Until all running replicas are at one applied index; their digests must
        be equal. Returns that index."""
        wanted = {n.name for n in self.running()}

        def look():
            done = self.cli("hash", aba, "-o", "json")
            rows = json.loads(done.stdout or '{"replicas": []}')["replicas"]
            check(all(r["result"] != "DIFFERS" for r in rows), f"digests of {aba} differ: {rows}")
            return rows if {r["node"] for r in rows if r["result"] == "same"} >= wanted else None

        return until(f"replicas of {aba} at one index", look, limit)[0]["applied_index"]


# --- Routing numbers, settings, transfers -----------------------------------


def routing_number(i):
    """The i-th of some well-formed ones; their ODFI parts differ."""
    eight = f"{12300000 + i:08d}"
    total = sum(int(c) * w for c, w in zip(eight, (3, 7, 1) * 3))
    return eight + str(-total % 10)


A = routing_number(0)
B = routing_number(1)


def settings(*numbers, preferred=None, rate=None, windows=None, more=None):
    """A cluster configuration; each routing number has a bank of its own
    (bank.Bank). windows: {routing number: [(name, "HH:MM" in UTC)]}; without,
    windows close by hand only."""
    lines = ["endpoints:"]
    for aba in numbers:
        limit = f", rate_limit: {rate}" if rate else ""
        lines.append(f"  bank-{aba}: {{kind: directory, drop_dir: bank/{aba}/inbox, "
                     f"staging_dir: bank/{aba}/staging{limit}}}")
    lines += ["originators:", '  acme: {company_name: ACME ANVILS, company_id: "1234567890"}', "shards:"]
    for aba in numbers:
        lines += [f'  "{aba}":', f"    endpoint: bank-{aba}", "    destination_name: FABLE BANK",
                  f'    origin: "{aba}"', "    origin_name: ACME ANVILS", "    originators: [acme]"]
        lines += [f"    preferred: {preferred}"] if preferred else []
        at = ", ".join(f'{{name: {name}, close_at: "{clock}"}}' for name, clock in (windows or {}).get(aba, ()))
        lines.append(f"    windows: {{zone: UTC, on: every-day{', at: [' + at + ']' if at else ''}}}")
        lines += [f"    {key}: {value}" for key, value in (more or {}).items()]
    return "\n".join(lines) + "\n"


_serial = itertools.count(1)


def transfer(aba, **changes):
    """A good transfer with an id of its own, which the file carries too, as the
    individual's identification (in upper case, as ACH files have it)."""
    number = next(_serial)
    t = {"id": f"T{number:07d}", "routing_number": aba, "originator": "acme", "sec": "PPD",
         "entry_description": "SALARY", "side": "credit", "account_type": "checking", "rdfi": "091000019",
         "account": f"{7000000 + number}", "amount": 100 + number, "name": "Goldie Locks"}
    t["individual_id"] = t["id"]
    t.update(changes)
    return t


def transfers(aba, count, **changes):
    return [transfer(aba, **changes) for _ in range(count)]


# --- Running -----------------------------------------------------------------


def _interrupted(signo, frame):
    raise KeyboardInterrupt


def main():
    """Runs the test_* functions of the calling script in order. Exit status 0
    passed, 1 failed, 77 skipped. An argument names the tests to run."""
    signal.signal(signal.SIGTERM, _interrupted)
    script = sys.modules["__main__"]
    tests = [(name, value) for name, value in vars(script).items() if name.startswith("test_") and callable(value)]
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    status = 77
    for name, test in tests:
        if wanted and name not in wanted:
            continue
        begun = time.monotonic()
        try:
            test()
            print(f"ok      {name} ({time.monotonic() - begun:.1f} s)", flush=True)
            status = 0 if status == 77 else status
        except Skip as skip:
            print(f"skipped {name}: {skip}", flush=True)
        except Failure as failure:
            print(f"FAILED  {name}: {failure}", flush=True)
            status = 1
        except Exception:  # A mistake in the test must not hide the other tests.
            print(f"FAILED  {name}: {traceback.format_exc()}", flush=True)
            status = 1
    sys.exit(status)
