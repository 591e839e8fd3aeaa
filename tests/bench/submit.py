"""scripts/bench submit: transfers a second and their latency beside etcd's puts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from setting import number, table, value
from bank import Bank
from harness import A, BIN, Cluster, Failure, _die_with_parent, _free_ports, check, settings, until

CLIENTS = value("--clients", [1, 16, 64, 256], lambda text: [int(n) for n in text.split(",")])
SECONDS = number("--seconds", 5)
TRANSFERS = number("--transfers", 1)
WARMUP_MS = 1000
COLUMNS = ["clients", "transfers/s", "etcd puts/s", "ratio", "p50", "etcd p50", "ratio", "p99", "etcd p99", "ratio"]
PUTS_MOST = 128  # In one transaction, by etcd's default limit.


class Etcd:
    """Three nodes of the distribution's etcd with its own settings; only the
    log is quieter."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="etcd-")
        ports = _free_ports(6)
        self.clients = [f"127.0.0.1:{p}" for p in ports[:3]]
        peers = [f"http://127.0.0.1:{p}" for p in ports[3:]]
        members = ",".join(f"e{i}={peer}" for i, peer in enumerate(peers))
        self.log = open(os.path.join(self.dir, "log"), "wb")  # Closed in close().
        self.procs = [
            subprocess.Popen(
                ["etcd", "--name", f"e{i}", "--data-dir", os.path.join(self.dir, f"e{i}"),
                 "--listen-client-urls", f"http://{self.clients[i]}", "--advertise-client-urls",
                 f"http://{self.clients[i]}", "--listen-peer-urls", peers[i], "--initial-advertise-peer-urls",
                 peers[i], "--initial-cluster", members, "--logger", "zap", "--log-level", "error"],
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=_die_with_parent)
            for i in range(3)]

    def __enter__(self):
        until("etcd is healthy", self._is_healthy, 60, 0.2)
        return self

    def _is_healthy(self):
        env = dict(os.environ, ETCDCTL_API="3")
        return subprocess.run(["etcdctl", "--endpoints", ",".join(self.clients), "endpoint", "health"], env=env,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def __exit__(self, *_):
        for proc in self.procs:
            proc.kill()
            proc.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def run(program, *args):
    done = subprocess.run([os.path.join(BIN, program), *map(str, args)], capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{program}: status {done.returncode}: {done.stderr}{done.stdout[-500:]}")
    return json.loads(done.stdout)


def common(clients):
    return ("--clients", clients, "--seconds", SECONDS, "--warmup-ms", WARMUP_MS)


def measure_ours(cluster, clients):
    result = run("load", "--connect", ",".join(n.client for n in cluster.nodes), "--shards", A, "--transfers",
                 TRANSFERS, *common(clients))
    check(not result["errors"], f"load: errors {result['errors']} {result['reason']}")
    return result


def measure_callers(cluster, clients, number):
    """The same, but all clients are threads on one handle of the client library."""
    return run("callers", "--connect", ",".join(n.client for n in cluster.nodes), "--shard", A, "--prefix",
               f"callers-{number}", *common(clients))


def measure_etcd(etcd, clients, size):
    puts = min(TRANSFERS, PUTS_MOST)
    return run("etcd_put", "--endpoints", ",".join(etcd.clients), "--size", size, "--puts", puts, *common(clients))


def row(clients, ours, etcd):
    mine, theirs = ours["transfers_per_second"], etcd["puts_per_second"]
    cells = [clients, f"{mine:.0f}", f"{theirs:.0f}", f"{mine / theirs:.2f}"]
    for quantile in ("p50", "p99"):
        a, b = ours["latency_us"][quantile] / 1000, etcd["latency_us"][quantile] / 1000
        cells += [f"{a:.2f}", f"{b:.2f}", f"{a / b:.2f}"]
    return cells


def main():
    version = subprocess.run(["etcd", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    with Cluster() as cluster, Etcd() as etcd:
        Bank(cluster, A)
        cluster.start()
        cluster.apply(settings(A))
        cluster.leader(A)
        rows = []
        handle_rows = []
        size = 0
        for clients in CLIENTS:
            # In turns, so that both meet the same machine.
            ours = measure_ours(cluster, clients)
            size = ours["bytes_per_transfer"]
            theirs = measure_etcd(etcd, clients, size)
            rows.append(row(clients, ours, theirs))
            if TRANSFERS == 1:
                handle_rows.append(row(clients, measure_callers(cluster, clients, len(rows)), theirs))
    print(f"Three nodes each on one machine with {os.cpu_count()} cores, one disk; {TRANSFERS} transfer(s) a request, "
          f"{size} bytes each; {SECONDS} s a cell; {version}. Latency in ms; ratios are ours over etcd's.\n")
    table(COLUMNS, rows)
    if handle_rows:
        print("\nThe same, when all clients are threads that share one handle of the client library (a payment service "
              "that embeds it): what they submit at the same time leaves in few requests.\n")
        table(COLUMNS, handle_rows)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
