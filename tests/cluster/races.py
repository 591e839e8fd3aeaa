"""Everything that crosses threads, once, for ThreadSanitizer (test tsan_cluster): three
lanes a node, requests over all nodes while others look, files to banks, a node
that dies and one that leaves. A race ends the node that has it, which fails the
test and shows its report."""

import os
import threading

from bank import Bank
from harness import Cluster, check, main, routing_number, same, settings, transfers, until

SHARDS = 6
EACH = 10
LIMIT_S = 90  # Everything takes ten times as long.


def work(c, node, numbers, ids, errors):
    try:
        for aba in numbers:
            batch = transfers(aba, EACH)
            c.accept(batch, to=[node])
            ids[aba].extend(t["id"] for t in batch)
            c.ask("shards", "show", aba, to=[node])
        for question in (["status"], ["shards", "list"], ["nodes", "list"]):
            c.ask(*question, to=[node])
    except Exception as error:  # pylint: disable=broad-except
        errors.append(error)


def test_races():
    os.environ["TSAN_OPTIONS"] = "halt_on_error=1 second_deadlock_stack=1"
    numbers = [routing_number(700 + i) for i in range(SHARDS)]
    with Cluster(settings={"lanes": 3}) as c:
        c.start()
        banks = {aba: Bank(c, aba) for aba in numbers}
        c.apply(settings(*numbers))
        wanted = {"total": SHARDS, "without_leader": 0}
        for node in c.nodes:
            until(f"all led, as {node.name} knows", lambda n=node: c.ask("status", to=[n])["shards"] == wanted, LIMIT_S)

        ids = {aba: [] for aba in numbers}
        errors = []
        threads = [threading.Thread(target=work, args=(c, c.nodes[i], numbers[i::3], ids, errors))
                   for i in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check(not errors, f"errors: {errors[:3]}")

        # Files of several lanes at once, over the one bank agent of their node.
        for aba in numbers:
            c.run("windows", "close", aba)
        for aba in numbers:
            c.wait_files(aba, "uploaded", limit=LIMIT_S)
            same(len(banks[aba].one().entries), len(ids[aba]), f"entries at the bank of {aba}")

        c.nodes[0].kill()
        for aba in numbers:
            c.accept(transfers(aba, 1), to=c.others(c.nodes[0]))
        c.nodes[0].start()
        c.wait_up(c.nodes[0])
        c.nodes[1].terminate()
        same(c.nodes[1].wait_end(LIMIT_S), 0, "exit status of a node that left")
        for aba in numbers:
            c.accept(transfers(aba, 1), to=c.others(c.nodes[1]))


if __name__ == "__main__":
    main()
