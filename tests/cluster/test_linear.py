"""Histories of single ids are linearizable while leaders are killed and paused.

Every transfer is a register: absent, then pending, then cancelled. Many clients
submit, cancel and show the same few ids at once, each through a node of its
choice, a paused one as well, whose answer comes when it goes on. What was asked
and answered, and between which moments, is the history of an id.

The checker is the search of Wing and Gong (Testing and Verifying Concurrent
Objects, 1993), id by id, which is enough as linearizability is local (Herlihy and
Wing, 1990): of the operations that may come first, because no other one ended
before they began, one is taken whose answer fits the state, and so on; sets of
taken operations that were met before are not tried again (Lowe, 2017). An
operation without an answer may have happened at any time after it began, or never.
"""

import json
import os
import random
import threading
import time

from harness import A, Cluster, check, main, settings, transfer, until

CLIENTS = 6
ROUNDS = int(os.environ.get("SHARDGATE_LINEAR_ROUNDS", "6"))
ABSENT, PENDING, CANCELLED = range(3)
NEVER = float("inf")


class Operation:
    def __init__(self, kind, begun):
        self.kind, self.begun, self.ended, self.seen = kind, begun, NEVER, None

    def after(self, state):
        """The state behind it; None: its answer does not fit."""
        if self.kind == "submit":
            return max(state, PENDING)
        if self.kind == "cancel":
            if self.seen == ABSENT:
                return state if state == ABSENT else None
            return None if state == ABSENT and self.ended < NEVER else CANCELLED if state > ABSENT else state
        return state if self.ended == NEVER or state == self.seen else None

    def __repr__(self):
        return f"{self.kind} {self.begun:.3f}..{self.ended:.3f} saw {self.seen}"


def is_linearizable(history):
    met = set()

    def search(left, state):
        if all(history[i].ended == NEVER for i in left):
            return True
        if (left, state) in met:
            return False
        met.add((left, state))
        first_end = min(history[i].ended for i in left)
        for i in left:
            if history[i].begun <= first_end:
                after = history[i].after(state)
                if after is not None and search(left - {i}, after):
                    return True
        return False

    return search(frozenset(range(len(history))), ABSENT)


def operation(kind, begun, ended, seen=None):
    o = Operation(kind, begun)
    o.ended, o.seen = ended, seen
    return o


def test_the_checker_itself():
    submit, cancel = operation("submit", 0, 1), operation("cancel", 2, 3, CANCELLED)
    good = [[submit, operation("show", 1.5, 1.6, PENDING)],
            [submit, operation("show", 0.5, 2, ABSENT)],
            [submit, cancel, operation("show", 2.5, 2.6, PENDING), operation("show", 2.7, 2.8, CANCELLED)],
            [operation("submit", 0, NEVER), operation("show", 5, 6, ABSENT), operation("show", 7, 8, PENDING)]]
    bad = [[submit, operation("show", 1.5, 1.6, ABSENT)],
           [submit, cancel, operation("show", 4, 5, PENDING)],
           [submit, cancel, operation("show", 2.1, 2.2, CANCELLED), operation("show", 2.3, 2.4, PENDING)],
           [operation("submit", 0, NEVER), operation("show", 5, 6, PENDING), operation("show", 7, 8, ABSENT)]]
    for history in good:
        check(is_linearizable(history), f"is linearizable: {history}")
    for history in bad:
        check(not is_linearizable(history), f"is not linearizable: {history}")


class Client(threading.Thread):
    def __init__(self, cluster, shared, seed):
        super().__init__()
        self.cluster, self.shared, self.random = cluster, shared, random.Random(seed)
        self.over = threading.Event()
        self.error = None

    def ask(self, t):
        kind = self.random.choice(("submit", "cancel", "show", "show", "show"))
        to = [self.random.choice(self.cluster.nodes)]
        o = Operation(kind, time.monotonic())
        self.shared["histories"][t["id"]].append(o)
        if kind == "submit":
            done = self.cluster.cli("transfers", "submit", "-", "-o", "json", "--timeout", "8s", to=to,
                                    given=json.dumps(t) + "\n")
            answered = done.returncode == 0
        else:
            done = self.cluster.cli("transfers", kind, A, t["id"], "-o", "json", "--timeout", "8s", to=to)
            absent = done.returncode == 1 and "no transfer" in done.stdout + done.stderr
            answered = done.returncode == 0 or absent
            check(answered or done.returncode != 1, f"{kind}: {done.stdout[-300:]}{done.stderr[-300:]}")
            if answered:
                cancelled = kind == "cancel" or "cancelled_index" in done.stdout
                o.seen = ABSENT if absent else CANCELLED if cancelled else PENDING
        if answered:
            o.ended = time.monotonic()

    def run(self):
        try:
            while not self.over.is_set():
                self.ask(self.random.choice(self.shared["ids"]))
        except Exception as error:  # For the main thread to raise.
            self.error = error


def fresh_ids(shared):
    shared["ids"] = [transfer(A) for _ in range(3)]
    for t in shared["ids"]:
        shared["histories"][t["id"]] = []


def test_histories_are_linearizable():
    seed = int(os.environ.get("SHARDGATE_SEED", random.randrange(10**6)))
    rng = random.Random(seed)
    shared = {"histories": {}, "ids": []}
    with Cluster() as c:
        c.start()
        c.apply(settings(A))
        until("the shard takes transfers", lambda: c.cli("shards", "show", A).returncode == 0)
        fresh_ids(shared)
        clients = [Client(c, shared, seed + i) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for i in range(ROUNDS):
                node = c.leader(A)
                if i % 3 == 2:
                    node.kill()
                    fresh_ids(shared)
                    c.leader(A, among=c.others(node))
                    node.start()
                else:
                    node.pause()
                    c.leader(A, among=c.others(node))
                    fresh_ids(shared)
                    # What they are asked now, the paused one too, is answered when it goes on.
                    until("some answers of the new leader", lambda: sum(
                        o.ended < NEVER for t in shared["ids"] for o in shared["histories"][t["id"]]) >= 6)
                    node.resume()
                c.wait_up(node)
                if rng.random() < 0.5:
                    fresh_ids(shared)
        finally:
            for client in clients:
                client.over.set()
            for client in clients:
                client.join()
        for client in clients:
            if client.error is not None:
                raise client.error
    answered = 0
    for name, history in shared["histories"].items():
        answered += sum(o.ended < NEVER for o in history)
        check(is_linearizable(history), f"seed {seed}: the history of {name} is not linearizable: {history}")
    check(answered > 50, f"only {answered} answers show nothing")
    print(f"        {len(shared['histories'])} ids, {answered} answers of {sum(map(len, shared['histories'].values()))}")


if __name__ == "__main__":
    main()
