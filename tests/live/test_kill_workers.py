"""An execution whose worker is lost ends without intervention, and a worker that was only
suspended cannot write any more.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from agentidp.devtools.embedded_postgres import Cluster
from tests.live.deployment import PROJECT, migrated_cluster, seed

pytestmark = pytest.mark.slow

EXECUTIONS = 20
REAP_TIMEOUT_SECONDS = 120
LONG = 600
LOST = "The worker was lost: nothing was heard from it for"


@dataclass
class Place:
    """A database with an organization, and workers that start and stop."""

    cluster: Cluster
    environment: dict[str, str]
    organization_id: str
    log: Path

    def __post_init__(self) -> None:
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self, concurrency: int) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            worker = subprocess.Popen(
                [sys.executable, "manage.py", "worker", "--concurrency", str(concurrency)],
                env=self.environment,
                cwd=PROJECT,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def launch(self, number: int, seconds: int = LONG) -> list[str]:
        command = [sys.executable, "-m", "tests.live.launch", str(number), str(seconds)]
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=PROJECT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.split()

    def rows(self, columns: str, of: list[str]) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.cluster.url) as connection:
            connection.execute(
                "SELECT set_config('app.organization_id', %s, true)", [self.organization_id]
            )
            return connection.execute(
                f"SELECT {columns} FROM executions_execution WHERE id = ANY(%s::uuid[])", [of]
            ).fetchall()

    def statuses(self, of: list[str]) -> Counter[str]:
        return Counter(status for (status,) in self.rows("status", of))

    def queue(self, queue: str, task: str, **arguments: str) -> None:
        with psycopg.connect(self.cluster.url) as connection:
            connection.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES (%s, %s, %s)",
                [queue, task, json.dumps(arguments)],
            )

    def queued(self, queue: str) -> int:
        """The number of the queue's jobs that have not succeeded yet."""
        with psycopg.connect(self.cluster.url) as connection:
            [found] = connection.execute(
                "SELECT count(*) FROM procrastinate_jobs WHERE queue_name = %s", [queue]
            ).fetchall()
        return int(found[0])

    def wait_until(self, is_reached: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not is_reached():
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.2)


@pytest.fixture(scope="module")
def empty_place() -> Iterator[Place]:
    with migrated_cluster(durable=False) as cluster:
        environment = os.environ | {
            "DATABASE_URL": cluster.url,
            "AGENTIDP_DATABASE_OWNER_URL": cluster.owner_url,
            "AGENTIDP_ENVIRONMENT": "test",
            "AGENTIDP_DEMO": "1",
            "PYTHONPATH": str(PROJECT),
        }
        organization_id = seed(environment, 1)[0].organization_id
        yield Place(cluster, environment, organization_id, cluster.root / "workers.log")


@pytest.fixture
def place(empty_place: Place) -> Iterator[Place]:
    yield empty_place
    for worker in empty_place.workers:
        with contextlib.suppress(ProcessLookupError):
            worker.send_signal(signal.SIGCONT)
        worker.kill()
        worker.wait()
    empty_place.workers.clear()


def test_nothing_keeps_running_when_workers_are_killed(place: Place) -> None:
    victims = [place.start_worker(EXECUTIONS // 2) for _ in range(2)]
    launched = place.launch(EXECUTIONS)
    place.wait_until(lambda: place.statuses(launched) == {"running": EXECUTIONS}, 60)

    for victim in victims:
        victim.kill()
        victim.wait()
    killed = time.monotonic()
    # Restart it, as a supervisor does. The new worker finds the lost executions by itself.
    place.start_worker(2)
    place.wait_until(
        lambda: place.statuses(launched) == {"error": EXECUTIONS}, REAP_TIMEOUT_SECONDS
    )

    print(f"{EXECUTIONS} ended {time.monotonic() - killed:.1f} s after the kill")  # noqa: T201
    assert all(error.startswith(LOST) for (error,) in place.rows("error", launched))
    after = place.launch(1, seconds=1)
    place.wait_until(lambda: place.statuses(after) == {"finished": 1}, 30)


def test_surviving_workers_end_the_executions_of_a_lost_one(place: Place) -> None:
    victim = place.start_worker(5)
    lost = place.launch(5)
    place.wait_until(lambda: place.statuses(lost) == {"running": 5}, 60)
    place.start_worker(5)
    kept = place.launch(5)
    place.wait_until(lambda: place.statuses(kept) == {"running": 5}, 60)

    victim.kill()
    victim.wait()
    place.wait_until(lambda: place.statuses(lost) == {"error": 5}, REAP_TIMEOUT_SECONDS)

    assert place.statuses(kept) == {"running": 5}


def interrupted(log: Path) -> str:
    """The log's lines about executions interrupted by a worker's end."""
    lines = log.read_text().splitlines()
    return "\n".join(line for line in lines if "execution.interrupted" in line)


def test_a_worker_that_slept_cannot_write_any_more(place: Place) -> None:
    sleeper = place.start_worker(1)
    launched = place.launch(1)
    place.wait_until(lambda: place.statuses(launched) == {"running": 1}, 60)

    sleeper.send_signal(signal.SIGSTOP)
    place.start_worker(1)
    place.wait_until(lambda: place.statuses(launched) == {"error": 1}, REAP_TIMEOUT_SECONDS)
    before = place.rows("last_sequence, error, end_time, lease_generation", launched)
    sleeper.send_signal(signal.SIGCONT)

    # It reports twice a second while it holds the lease.
    place.wait_until(lambda: launched[0] in interrupted(place.log), 30)
    assert place.rows("last_sequence, error, end_time, lease_generation", launched) == before
    assert sleeper.poll() is None, "it goes on working for others"


def test_executions_leave_mails_their_places(place: Place) -> None:
    place.start_worker(2)
    launched = place.launch(2)
    place.wait_until(lambda: place.statuses(launched) == {"running": 2}, 60)

    place.queue("mail", "organizations.mail_password_reset", user_id=str(UUID(int=0)))

    place.wait_until(lambda: place.queued("mail") == 0, 30)
    assert place.statuses(launched) == {"running": 2}


def test_a_busy_worker_opens_no_more_connections_than_operators_are_told(place: Place) -> None:
    (told,) = re.findall(
        r"up to (\d+) of a worker", (PROJECT / "docs/how-to/deploy.md").read_text()
    )
    place.start_worker(10)
    launched = place.launch(10)
    place.wait_until(lambda: place.statuses(launched) == {"running": 10}, 60)

    with psycopg.connect(place.cluster.url) as connection:
        (opened,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user"
            " AND pid <> pg_backend_pid()"
        ).fetchone() or (0,)

    assert opened <= int(told) - 4, "the places of mails and of other jobs are empty"


def test_a_stopping_worker_leaves_nothing_behind(place: Place) -> None:
    worker = place.start_worker(2)
    long, short = place.launch(1), place.launch(1, seconds=15)
    place.wait_until(lambda: place.statuses(short + long) == {"running": 2}, 60)

    worker.terminate()
    assert worker.wait(60) == 0

    assert place.statuses(short) == {"finished": 1}, "it may end what is short"
    assert place.rows("status, error", long) == [
        ("error", "The worker was stopped before the execution had ended.")
    ]
