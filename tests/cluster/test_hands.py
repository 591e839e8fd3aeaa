"""What an operator sees and may rely on when nodes are gone: time that ends,
words that help, figures that are known."""

import os
import signal
import subprocess
import time

from bank import Bank
from harness import A, Cluster, check, main, program, routing_number, same, settings, until

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


main()
