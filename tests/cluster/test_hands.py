"""What an operator sees and may rely on when nodes are gone: time that ends,
words that help, figures that are known."""

import os
import signal
import subprocess
import time

from bank import Bank
from harness import A, Cluster, check, main, program, routing_number, same, settings, transfer, until

MANY = 40


def start(c, node, *args):
    """shardgate, still running; it asks this node."""
    env = dict(os.environ, SHARDGATE_CONNECT=node.client)
    return subprocess.Popen([program("shardgate"), *args], cwd=c.dir, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def without_quorum(c):
    """Two of three are killed; the one that is left."""
    left, *gone = c.nodes
    for node in gone:
        node.kill()
    until("nobody leads", lambda: c.cli("leader", "show", A, "--timeout", "500ms", to=[left]).returncode == 3)
    return left, gone


def test_interrupted_change_says_what_may_happen():
    with Cluster() as c:
        Bank(c, A)
        c.start()
        c.apply(settings(A))
        left, gone = without_quorum(c)
        closing = start(c, left, "windows", "close", A, "--timeout", "5s")
        time.sleep(0.5)  # It is under way, and nothing tells when.
        closing.send_signal(signal.SIGINT)
        _, said = closing.communicate(timeout=5)
        same(closing.returncode, 5, f"status of an interrupted change: {said}")
        check("interrupted" in said and f"'shardgate windows list {A}'" in said, f"it says: {said}")
        # A read just ends.
        reading = start(c, left, "windows", "list", A)
        time.sleep(0.3)
        reading.send_signal(signal.SIGINT)
        reading.communicate(timeout=5)
        same(reading.returncode, -signal.SIGINT, "status of an interrupted read")
        # Its time is over: the cluster does not do it any more.
        time.sleep(5)
        for node in gone:
            node.start()
        c.wait_up(*gone)
        c.hashes_equal(A)
        same(c.ask("windows", "list", A)["windows"], [], "windows closed after the command's time")


def test_time_is_that_of_the_command():
    numbers = [routing_number(i) for i in range(MANY)]
    with Cluster() as c:
        for aba in numbers:
            Bank(c, aba)
        c.start()
        c.apply(settings(*numbers))
        left, _ = without_quorum(c)
        begun = time.monotonic()
        done = c.cli("files", "list", "--timeout", "2s", to=[left])
        took = time.monotonic() - begun
        same(done.returncode, 3, f"status without a quorum: {done.stderr}")
        check(took < 3.5, f"{MANY} shards without a quorum took {took:.1f} s of 2 s")
        same(len(done.stderr.splitlines()), 1, f"lines of {done.stderr}")
        print(f"        {MANY} shards without a quorum, --timeout 2s: {took:.1f} s; {done.stderr.strip()}")


def test_each_figure_comes_from_who_knows_it():
    numbers = [routing_number(i) for i in range(6)]
    with Cluster() as c:
        for aba in numbers:
            Bank(c, aba)
        c.start()
        c.apply(settings(*numbers, windows={aba: [("ND", "23:59")] for aba in numbers}))
        # In force when apply says so: no waiting here.
        for node in c.nodes:
            rows = c.ask("shards", "list", to=[node])["shards"]
            same([r["routing_number"] for r in rows], sorted(numbers), f"shards by {node.name}")
            check(all(r["next_close"] for r in rows), f"next closes by {node.name}: {rows}")
        gone = c.nodes[2]
        gone.kill()
        until("the others see that it is gone",
              lambda: [n["state"] for n in c.ask("nodes", "list", to=c.nodes[:2])["nodes"]].count("down") == 1)
        row = next(n for n in c.ask("status", to=c.nodes[:2])["nodes"] if n["name"] == gone.name)
        same([row[k] for k in ("leaders", "replicas", "stopped")], [None] * 3, "figures of a node that is gone")
        led = next(a for a in numbers if c.ask("leader", "show", a)["leader"] is not None)
        until("its replica is unreachable", lambda: [r["state"] for r in c.ask("shards", "show", led)["replicas"]
                                                     ].count("unreachable") == 1)
        row = next(r for r in c.ask("shards", "show", led)["replicas"] if r["node"] == gone.name)
        same((row["match_index"], row["lag"]), (None, None), "what the replica that is gone has")
        gone.start()
        c.wait_up(gone)
        status = c.ask("status", to=c.nodes[:1])
        row = next(n for n in status["nodes"] if n["name"] == gone.name)
        check(row["state"] == "up" and row["replicas"] == len(numbers), f"a node right after its restart: {row}")
        c.nodes[1].kill()
        gone.kill()
        left = c.nodes[0]
        until("it knows", lambda: c.ask("status", to=[left])["health"] == "unavailable")
        status = c.ask("status", to=[left])
        check(len(status["attention"]) <= 3, f"rows without a quorum: {status['attention']}")
        check(any("2 are needed" in a["text"] for a in status["attention"]), f"{status['attention']}")
        check(all("'shardgate " in a["text"] for a in status["attention"]), f"no command in {status['attention']}")


def test_all_end_together():
    numbers = [routing_number(i) for i in range(MANY)]
    with Cluster() as c:
        for aba in numbers:
            Bank(c, aba)
        c.start()
        c.apply(settings(*numbers))
        begun = time.monotonic()
        for node in c.nodes:
            node.terminate()
        for node in c.nodes:
            node.wait_end()
        took = time.monotonic() - begun
        check(took < 1, f"three nodes with {MANY} shards took {took:.2f} s to end together")
        print(f"        SIGTERM to all three, {MANY} shards: {took * 1000:.0f} ms")


def test_a_stopped_leader_is_waited_for_once():
    """A process that is stopped keeps its connections: neither its client nor the
    other nodes hear that it is gone."""
    with Cluster() as c:
        Bank(c, A)
        c.start()
        c.apply(settings(A))
        longest = 0
        for _ in range(3):
            leader = c.leader(A)
            others = c.others(leader)
            leader.pause()
            begun = time.monotonic()
            result = c.submit([transfer(A)], to=[leader, *others])[0]
            longest = max(longest, time.monotonic() - begun)
            leader.resume()
            same(result["outcome"], "accepted", "outcome with a stopped leader")
            c.hashes_equal(A)
        check(longest < 3.5, f"a client waited {longest:.2f} s for a stopped leader")
        print(f"        a leader stopped, the client asks all three: {longest * 1000:.0f} ms at most")


main()
