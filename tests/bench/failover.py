"""scripts/bench failover: from SIGKILL of a leader until its shard has accepted
a transfer again.

Each time one transfer is submitted over an open connection to a surviving node
the moment the leader is killed, as a client does that sees its connection
break. The node holds it until there is a leader and answers once the transfer
is durable on a quorum and applied.
"""

import os
import signal
import statistics
import sys
import time

from setting import number, table
from bank import Bank
from harness import A, Cluster, Failure, check, settings, transfers
from port import Port

KILLS = number("--kills", 50)


def submit(port):
    """Until it is accepted; returns how often it was asked."""
    batch = transfers(A, 1)
    for tries in range(1, 1000):
        error, results = port.submit(batch)
        if error == "":
            check(results[0]["outcome"] in ("accepted", "folded"), f"{results}")
            return tries
        check(error in ("unavailable", "notleader", "unknown", "busy"), f"error {error}")
    raise Failure("a thousand tries")


def kill_once(cluster):
    """(ms until accepted again, ms of a submission with a leader)."""
    leader = cluster.leader(A)
    survivor = cluster.others(leader)[0]
    port = Port(survivor)
    submit(port)
    begun = time.monotonic()
    submit(port)
    calm = time.monotonic() - begun
    killed = leader.kill_fast()
    submit(port)
    took = time.monotonic() - killed
    port.close()
    leader.wait_end()
    leader.start()
    cluster.wait_up(leader)
    cluster.hashes_equal(A)
    return took * 1000, calm * 1000


def main():
    with Cluster() as cluster:
        Bank(cluster, A)
        cluster.start()
        cluster.apply(settings(A))
        samples = [kill_once(cluster) for _ in range(KILLS)]
    took, calm = zip(*samples)
    print(f"{KILLS} leaders killed (SIGKILL) one after the other, three nodes on one machine with {os.cpu_count()} "
          f"cores. ms from the kill until a transfer is accepted (durable on a quorum, applied); 'calm' is the same "
          f"submission with a living leader.\n")
    table(["", "median", "p90", "worst", "best"],
          [[name, *(f"{x:.1f}" for x in (statistics.median(v), sorted(v)[int(len(v) * 0.9)], max(v), min(v)))]
           for name, v in (("failover", took), ("calm", calm))])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
