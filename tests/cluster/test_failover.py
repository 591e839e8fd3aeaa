"""Leaders that die, hand over or lose their quorum."""

import json
import subprocess
import threading
import time

from bank import Bank, Ledger
from harness import A, B, Cluster, check, main, same, settings, transfers, until

ACCEPTS_AGAIN_S = 5.0  # Generous; the figure is printed. scripts/bench failover measures.


def test_killed_leader():
    """Its shards accept again; nothing accepted is lost; it comes back as a follower."""
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        c.start()
        c.apply(settings(A))
        took = []
        for _ in range(5):
            leader = c.leader(A)
            batch = transfers(A, 5)
            ledger.note(batch, c.submit(batch))
            others = c.others(leader)
            killed = leader.kill_fast()
            batch = transfers(A, 1)
            ledger.note(batch, c.submit(batch, to=others))
            took.append(time.monotonic() - killed)
            leader.wait_end()
            leader.start()
            c.wait_up(leader)
            c.hashes_equal(A)
        print(f"        accepts again after {', '.join(f'{t * 1000:.0f}' for t in took)} ms")
        check(max(took) < ACCEPTS_AGAIN_S, f"{max(took):.1f} s without a leader")
        ledger.settle(c, A, bank)


def test_minority_refuses():
    """One of three: no answer is better than a wrong one. Status 3, at once when
    the tool is told how long to wait."""
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        c.start()
        c.apply(settings(A))
        batch = transfers(A, 10)
        ledger.note(batch, c.submit(batch))
        leader = c.leader(A)
        alone = c.others(leader)[0]
        for node in c.others(alone):
            node.kill()
        lost = transfers(A, 1)
        done = c.cli("transfers", "submit", "-", "--timeout", "2s", to=[alone], given=json.dumps(lost[0]))
        same(done.returncode, 3, f"submit to a minority: {done.stdout}{done.stderr}")
        same(c.cli("windows", "close", A, "--timeout", "2s", to=[alone]).returncode, 3, "close without a quorum")
        begun = time.monotonic()
        status = c.ask("status", to=[alone])
        check(time.monotonic() - begun < ACCEPTS_AGAIN_S, "status waited for the two nodes that are down")
        same(status["health"], "unavailable", "health of one of three")
        c.run("status", "--check", to=[alone], status=3)
        for node in c.others(alone):
            node.start()
        c.wait_up()
        # The client that got no answer repeats, and learns one fate.
        ledger.note(lost, c.submit(lost))
        ledger.settle(c, A, bank)
        c.hashes_equal(A)


def test_all_three_killed():
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        c.start()
        c.apply(settings(A))
        for _ in range(2):
            batch = transfers(A, 50)
            ledger.note(batch, c.submit(batch))
            for node in c.nodes:
                node.kill_fast()
            for node in c.nodes:
                node.wait_end()
                node.start()
            c.wait_up()
            ledger.settle(c, A, bank)
        c.run("windows", "close", A)
        c.wait_files(A, "uploaded")
        ledger.settle(c, A, bank)


def test_transfer_of_leadership():
    with Cluster() as c:
        Bank(c, A)
        c.start()
        c.apply(settings(A))
        for target in c.nodes * 2:
            before = c.leader(A)
            answer = c.ask("leader", "transfer", A, "--to", target.name)
            if before is target:
                same(answer["outcome"], "ALREADY_LEADER", "outcome")
            else:
                same((answer["outcome"], answer["leader"]), ("TRANSFERRED", target.name), "outcome")
            check(c.leader(A) is target, "it reported success and did not happen")
            c.accept(transfers(A, 1))
        down = c.others(c.leader(A))[0]
        down.kill()
        answer = c.ask("leader", "transfer", A, "--to", down.name, status=1)
        same(answer["outcome"], "UNREACHABLE", "outcome towards a dead node")
        same(c.cli("leader", "transfer", A, "--to", "n9").returncode, 2, "an unknown node")


def test_all_three_terminated():
    """SIGTERM to all at once: they end soon, and do not hand leadership round in
    circles among those that leave."""
    with Cluster() as c:
        bank = Bank(c, A)
        ledger = Ledger()
        c.start()
        c.apply(settings(A))
        batch = transfers(A, 20)
        ledger.note(batch, c.submit(batch))
        marks = {node: node.log_mark() for node in c.nodes}
        for node in c.nodes:
            node.terminate()
        for node in c.nodes:
            same(node.wait_end(10), 0, f"status of {node.name}")
        elections = sum(node.log_text()[mark:].count("leader.elected") for node, mark in marks.items())
        check(elections <= 8, f"{elections} elections of two groups while all were leaving")
        c.start()
        ledger.settle(c, A, bank)


class Client(threading.Thread):
    """Submits one batch after the other with the tool and notes what it was
    told. Any status but success is an error that a person would have seen."""

    def __init__(self, cluster, ledger, aba):
        super().__init__()
        self.cluster, self.ledger, self.aba = cluster, ledger, aba
        self.over = threading.Event()
        self.count = 0
        self.errors = []
        self.longest = 0.0

    def run(self):
        while not self.over.is_set():
            batch = transfers(self.aba, 5)
            begun = time.monotonic()
            done = self.cluster.cli("transfers", "submit", "-", "-o", "json", to=self.cluster.nodes,
                                    given="".join(json.dumps(t) + "\n" for t in batch))
            self.longest = max(self.longest, time.monotonic() - begun)
            if done.returncode != 0:
                self.errors.append(f"status {done.returncode}: {done.stdout}{done.stderr}")
                return
            self.ledger.note(batch, json.loads(done.stdout)["results"])
            self.count += 1


def test_sigterm_hands_over():
    """A rolling restart under load: no client sees an error."""
    with Cluster() as c:
        banks = {aba: Bank(c, aba) for aba in (A, B)}
        ledger = Ledger()
        c.start()
        c.apply(settings(A, B))
        clients = [Client(c, ledger, aba) for aba in (A, B)]
        for client in clients:
            client.start()
        try:
            for node in c.nodes:
                for aba in (A, B):
                    c.lead(aba, node)
                node.terminate()
                same(node.wait_end(), 0, f"status of {node.name} after SIGTERM")
                node.start()
                c.wait_up()
        finally:
            for client in clients:
                client.over.set()
                client.join()
        for client in clients:
            same(client.errors, [], "errors that a client saw")
            check(client.count > 3, f"only {client.count} batches")
        print(f"        longest call over a handover: {max(x.longest for x in clients) * 1000:.0f} ms")
        for aba, bank in banks.items():
            ledger.settle(c, aba, bank)
            c.hashes_equal(aba)


def test_signal_while_starting():
    """SIGTERM before the cluster is formed ends the node cleanly."""
    with Cluster() as c:
        node = c.nodes[0]
        node.start()
        node.wait_log("node.starting")
        node.terminate()
        try:
            same(node.proc.wait(20), 0, "status")
        except subprocess.TimeoutExpired:
            check(False, "a forming node ignores SIGTERM")


if __name__ == "__main__":
    main()
