"""A read replica for the dashboards: are its results the same, how late is it, what does it cost?

python -m benchmarks.replica            a minute
python -m benchmarks.replica --small    does it work at all?

One PostgreSQL issues tokens, a second one follows it. Trend, heatmap and month are asked on both
while tokens are issued, through the product's own query layer.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from threading import Thread

import psycopg

from agentidp.devtools.embedded_postgres import Cluster
from agentidp.devtools.postgres_binaries import find_binaries
from benchmarks import product
from benchmarks.circumstances import measured
from benchmarks.machine import WORK, family_seconds, granian, new_cluster, postmaster, wrk
from benchmarks.token_contenders import DEPLOYED

FOLLOWER = "agentidp_replica"
APPLICATION = "agentidp.wsgi:unguarded_application"
SETTINGS = ("shared_buffers = '512MB'", "max_wal_size = '4GB'")
LAG = "SELECT pg_wal_lsn_diff(%s, pg_last_wal_replay_lsn())"


@contextmanager
def replica_of(primary: Cluster) -> Iterator[Cluster]:
    """A second cluster that follows the first, from a base backup of it."""
    root = WORK / "replica"
    shutil.rmtree(root, ignore_errors=True)
    replica = Cluster(root, find_binaries())
    root.mkdir(mode=0o711, parents=True)
    source = f"host={primary.sockets} port=5432 user={FOLLOWER}"
    options = ("-D", replica.data, "-d", source, "-R", "-c", "fast")
    subprocess.run([primary.bindir / "pg_basebackup", *options], check=True)
    owner = primary.data.stat()
    for path in (replica.data, *replica.data.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    replica.start()
    try:
        yield replica
    finally:
        replica.stop()
        shutil.rmtree(root, ignore_errors=True)


def let_it_follow(primary: Cluster) -> None:
    primary.stop()
    primary.execute_offline(f"CREATE ROLE {FOLLOWER} LOGIN REPLICATION;")
    with (primary.data / "pg_hba.conf").open("a") as rules:
        rules.write(f"local replication {FOLLOWER} trust\n")
    primary.start()


def written_by(primary: Cluster) -> int:
    """Bytes of write-ahead log since the cluster was made."""
    with psycopg.connect(primary.url) as connection:
        row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')").fetchone()
    return int(row[0]) if row else 0


class Lag(Thread):
    """Looks ten times a second at how much of the log the replica has not replayed yet."""

    def __init__(self, primary: Cluster, replica: Cluster) -> None:
        super().__init__(daemon=True)
        self._urls = primary.url, replica.url
        self.bytes: list[int] = []
        self.milliseconds: list[float] = []
        self.is_over = False

    def run(self) -> None:
        with psycopg.connect(self._urls[0]) as here, psycopg.connect(self._urls[1]) as there:
            here.autocommit = there.autocommit = True
            while not self.is_over:
                [position] = here.execute("SELECT pg_current_wal_lsn()").fetchone() or [None]
                started = time.monotonic()
                [left] = there.execute(LAG, [position]).fetchone() or [0]
                self.bytes.append(max(0, int(left)))
                while there.execute(LAG, [position]).fetchone()[0] > 0:  # type: ignore[index]
                    time.sleep(0.001)
                self.milliseconds.append((time.monotonic() - started) * 1000)
                time.sleep(0.1)


def ask(rounds: int) -> None:
    """Print the results and times of this process's database, as JSON: one of the two clusters."""
    import django

    django.setup()
    from benchmarks.analytics import milliseconds, questions
    from organizations.models import Organization
    from organizations.tenancy.scope import organization_scope

    busiest = Organization.objects.get(slug=f"organization-{product.ORGANIZATIONS}")
    asked = questions(busiest, datetime.now(UTC))
    with organization_scope(busiest):
        times = {each.name: [milliseconds(each.ask) for _ in range(rounds)] for each in asked}
        results = {each.name: sorted(map(str, each.as_set(each.ask()))) for each in asked}
    medians = {name: statistics.median(found) for name, found in times.items()}
    json.dump({"medians": medians, "results": results}, sys.stdout, default=str)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--port", type=int, default=3170)
    parser.add_argument("--ask", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        ask(options.ask)
        return
    seconds, rounds = (2, "3") if options.small else (10, "50")
    with ExitStack() as stack:
        primary = stack.enter_context(new_cluster("replicated", SETTINGS))
        environment = product.set_up(primary)
        product.make_clients()
        from django.db import connections

        connections.close_all()
        let_it_follow(primary)
        replica = stack.enter_context(replica_of(primary))
        server = stack.enter_context(
            granian(APPLICATION, port=options.port, environment=environment, threads=DEPLOYED)
        )
        servers = [server, postmaster(primary), postmaster(replica)]
        url = f"http://127.0.0.1:{options.port}/api/v1/token"
        lag = Lag(primary, replica)
        wrk(url, WORK / "hot", seconds=seconds, host=product.HOST, ours=servers)
        lag.start()
        written = written_by(primary)
        replaying = family_seconds([postmaster(replica)])
        load = wrk(url, WORK / "spread", seconds=seconds, host=product.HOST, ours=servers)
        replaying = family_seconds([postmaster(replica)]) - replaying
        written = written_by(primary) - written
        lag.is_over = True
        lag.join()
        answers = {}
        for name, cluster in (("primary", primary), ("replica", replica)):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.replica", "--ask", rounds],
                env=os.environ | environment | {"DATABASE_URL": cluster.url},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            answers[name] = json.loads(done.stdout)
        if answers["primary"]["results"] != answers["replica"]["results"]:
            sys.exit("The replica's results differ from the primary's.")
        print(f"{load.per_second:,.0f} tokens/s, {load.cpu_ms:.2f} ms of processor time each")
        print(f"of these for replaying: {replaying / load.requests * 1000:.3f} ms")
        print(f"{written / load.requests / 1024:.1f} KiB of write-ahead log each")
        slow = sorted(lag.milliseconds)
        print(
            f"a commit is on the replica after {statistics.median(slow):.0f} ms, at most "
            f"{slow[-1]:.0f} ms; at most {max(lag.bytes) / 1024:,.0f} KiB behind"
        )
        for question, here in answers["primary"]["medians"].items():
            there = answers["replica"]["medians"][question]
            print(f"{question:<18}{here:6.2f} ms, replica {there:.2f} ms")
        print(measured(1, [load.background]))


if __name__ == "__main__":
    main()
