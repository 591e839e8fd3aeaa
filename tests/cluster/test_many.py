"""A thousand idle routing numbers on three nodes: memory and processor time
are printed (they are figures, not limits); every shard must have a leader and
take a transfer."""

import time

from bank import Bank
from harness import Cluster, check, main, routing_number, same, settings, transfer, until

SHARDS = 1000
IDLE_S = 5


def figures(c, what):
    rss = [node.rss_kib() / 1024 for node in c.nodes]
    begun = [node.cpu_s() for node in c.nodes]
    at = time.monotonic()
    time.sleep(IDLE_S)  # The measurement itself.
    span = time.monotonic() - at
    cpu = [(node.cpu_s() - b) / span * 100 for node, b in zip(c.nodes, begun)]
    print(f"        {what}: RSS {', '.join(f'{r:.0f}' for r in rss)} MiB; "
          f"idle CPU {', '.join(f'{x:.1f}' for x in cpu)} % of a core", flush=True)


def all_led(c):
    done = c.ask("status")
    return done["shards"] == {"total": SHARDS, "without_leader": 0}


def test_thousand_idle_shards():
    numbers = [routing_number(100 + i) for i in range(SHARDS)]
    with Cluster() as c:
        c.start()
        figures(c, "no shard")
        for aba in numbers:
            Bank(c, aba)
        begun = time.monotonic()
        c.apply(settings(*numbers))
        for node in c.nodes:
            until(f"all led, as {node.name} knows",
                  lambda n=node: c.ask("status", to=[n])["shards"] == {"total": SHARDS, "without_leader": 0}, 120, 0.1)
        print(f"        created and led after {time.monotonic() - begun:.1f} s", flush=True)
        figures(c, f"{SHARDS} shards")
        begun = time.monotonic()
        c.accept([transfer(aba) for aba in numbers])
        print(f"        one transfer for each within {(time.monotonic() - begun) * 1000:.0f} ms", flush=True)

        # One node dies: the others lead all of them.
        victim = c.nodes[0]
        led = next(n["leaders"] for n in c.ask("nodes", "list")["nodes"] if n["name"] == victim.name)
        killed = victim.kill_fast()
        others = c.others(victim)
        results = c.submit([transfer(aba) for aba in numbers], to=others)
        took = time.monotonic() - killed
        same({r["outcome"] for r in results}, {"accepted"}, "outcomes with a node down")
        print(f"        {led} leaders killed; every shard has taken another transfer after {took * 1000:.0f} ms")
        victim.wait_end()

        begun = time.monotonic()
        victim.start()
        c.wait_up(victim)
        until("all led again", lambda: c.ask("status", to=[victim])["shards"]["without_leader"] == 0, 120, 0.1)
        print(f"        restarted, and knows all leaders after {time.monotonic() - begun:.1f} s", flush=True)
        check(all_led(c), "a shard without a leader")
        for aba in numbers[:3]:
            c.run("windows", "close", aba)
            c.wait_files(aba, "uploaded")
        for aba in numbers[::200]:
            c.hashes_equal(aba)


if __name__ == "__main__":
    main()
