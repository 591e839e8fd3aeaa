"""Nodes with several lanes: threads of their own for routing numbers. Everything
that crosses lanes: requests, answers, orders from the catalog, peers that come
and go, status, leaving."""

import threading

from bank import Bank
from harness import Cluster, check, main, routing_number, same, settings, transfers, until

SHARDS = 12
LANES = 3
ROUNDS = 6
EACH = 25


def all_led(c, node):
    return c.ask("status", to=[node])["shards"] == {"total": SHARDS, "without_leader": 0}


def submit_rounds(c, node, numbers, ids, errors):
    try:
        for _ in range(ROUNDS):
            for aba in numbers:
                batch = transfers(aba, EACH)
                c.accept(batch, to=[node])
                ids[aba].extend(t["id"] for t in batch)
    except Exception as error:  # pylint: disable=broad-except
        errors.append(error)


def look_rounds(c, node, numbers, errors):
    try:
        for _ in range(ROUNDS):
            c.ask("status", to=[node])
            c.ask("shards", "list", to=[node])
            for aba in numbers[::4]:
                c.ask("shards", "show", aba, to=[node])
    except Exception as error:  # pylint: disable=broad-except
        errors.append(error)


def test_lanes():
    numbers = [routing_number(500 + i) for i in range(SHARDS)]
    with Cluster(settings={"lanes": LANES}) as c:
        c.start()
        banks = [Bank(c, aba) for aba in numbers]
        check(len(banks) == SHARDS, "banks")
        c.apply(settings(*numbers))
        for node in c.nodes:
            until(f"all led, as {node.name} knows", lambda n=node: all_led(c, n))

        # Every node takes requests for every shard, while people look.
        ids = {aba: [] for aba in numbers}
        errors = []
        threads = [threading.Thread(target=submit_rounds, args=(c, c.nodes[i], numbers[i::3], ids, errors))
                   for i in range(3)]
        threads += [threading.Thread(target=look_rounds, args=(c, node, numbers, errors)) for node in c.nodes]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check(not errors, f"errors: {errors[:3]}")

        # One node dies and comes back, one leaves: all shards go on.
        c.nodes[0].kill()
        for aba in numbers:
            c.accept(transfers(aba, 1), to=c.others(c.nodes[0]))
        c.nodes[0].start()
        c.wait_up(c.nodes[0])
        c.nodes[1].terminate()
        same(c.nodes[1].wait_end(), 0, "exit status of a node that left")
        for aba in numbers:
            c.accept(transfers(aba, 1), to=c.others(c.nodes[1]))
        c.nodes[1].start()
        c.wait_up(c.nodes[1])
        for node in c.nodes:
            until(f"all led again, as {node.name} knows", lambda n=node: all_led(c, n))
        for aba in numbers:
            shown = c.ask("shards", "show", aba)
            same(shown["pending"]["entries"], len(ids[aba]) + 2, f"pending entries of {aba}")
            c.hashes_equal(aba)
        c.run("windows", "close", numbers[0])
        c.wait_files(numbers[0], "uploaded")


if __name__ == "__main__":
    main()
