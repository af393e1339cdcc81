"""No acknowledged token is lost when PostgreSQL is killed under load."""

import base64
import http.client
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psycopg
import pytest

from agentidp.devtools.embedded_postgres import Cluster
from tests.live.deployment import Deployment, OAuthClient, deployed

pytestmark = pytest.mark.slow

THREADS = 8
KILLS = 3
ACKNOWLEDGED = 5_000
RECOVERY_SECONDS = 10
TOTAL_SECONDS = 600
FORM = "application/x-www-form-urlencoded"


@dataclass
class Load:
    """Clients that request tokens as fast as possible, and the tokens that they received."""

    deployment: Deployment
    is_over: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    """Organization and jti of each token that a client holds."""
    statuses: Counter[int | str] = field(default_factory=Counter)
    last_success: float = 0.0

    def __enter__(self) -> "Load":
        self.threads = [
            threading.Thread(target=self._run, args=[client], daemon=True)
            for client in (self.deployment.clients * THREADS)[:THREADS]
        ]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join(60)

    def _run(self, client: OAuthClient) -> None:
        pair = base64.b64encode(f"{client.client_id}:{client.client_secret}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}", "Content-Type": FORM}
        connection = http.client.HTTPConnection(*self.deployment.address, timeout=60)
        while not self.is_over.is_set():
            try:
                connection.request(
                    "POST", "/api/v1/token", "grant_type=client_credentials", headers
                )
                answer = connection.getresponse()
                body = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.statuses[type(error).__name__] += 1
                connection.close()
                continue
            self.statuses[answer.status] += 1
            if answer.status == 200:
                self.acknowledged.append((client.organization_id, jti_of(body["access_token"])))
                self.last_success = time.monotonic()
            else:
                self.is_over.wait(0.02)
        connection.close()


def jti_of(token: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])


def processes() -> list[tuple[int, int, str]]:
    """Each living process: its id, its parent's and its state."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split() for line in listed.splitlines())
    return [(int(pid), int(parent), state) for pid, parent, state in rows if state[0] != "Z"]


def kill_at_once(cluster: Cluster) -> None:
    """Kill the postmaster and all its children with SIGKILL, and wait until they are gone."""
    postmaster = int((cluster.data / "postmaster.pid").read_text().splitlines()[0])
    family = {postmaster} | {pid for pid, parent, _ in processes() if parent == postmaster}
    for pid in [postmaster, *(family - {postmaster})]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    while family & {pid for pid, _, _ in processes()}:
        time.sleep(0.01)


def wait_until(is_reached: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_reached():
        assert time.monotonic() < deadline, "This took too long."
        time.sleep(0.01)


@pytest.fixture(scope="module")
def durable() -> Iterator[Deployment]:
    with deployed(durable=True, agents=2) as running:
        yield running


def scalars(deployment: Deployment, organization_id: str, *statements: str) -> list[object]:
    with psycopg.connect(deployment.cluster.url) as connection:
        connection.execute("SELECT set_config('app.organization_id', %s, true)", [organization_id])
        return [connection.execute(statement).fetchone()[0] for statement in statements]  # type: ignore[index]


def test_no_acknowledged_token_is_lost_when_the_database_is_killed(durable: Deployment) -> None:
    chance = random.Random()  # noqa: S311
    recoveries = []
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        assert scalars(durable, "", f"SHOW {setting}") == ["on"]

    with Load(durable) as load:
        for _ in range(KILLS):
            goal = len(load.acknowledged) + chance.randint(500, 1200)
            wait_until(lambda goal=goal: len(load.acknowledged) >= goal, TOTAL_SECONDS)
            kill_at_once(durable.cluster)
            durable.cluster.start()
            restarted = time.monotonic()
            wait_until(lambda since=restarted: load.last_success > since, RECOVERY_SECONDS)
            recoveries.append(load.last_success - restarted)
        wait_until(lambda: len(load.acknowledged) >= ACKNOWLEDGED, TOTAL_SECONDS)

    organizations = {client.organization_id for client in durable.clients}
    for organization_id in organizations:
        acknowledged = {jti for owner, jti in load.acknowledged if owner == organization_id}
        with psycopg.connect(durable.cluster.url) as connection:
            connection.execute(
                "SELECT set_config('app.organization_id', %s, true)", [organization_id]
            )
            rows = connection.execute(
                "SELECT token_id::text FROM tokens_tokenevent WHERE outcome = 'issued'"
            ).fetchall()
        recorded = {row[0] for row in rows}
        assert acknowledged <= recorded, f"{len(acknowledged - recorded)} tokens were lost"
        assert len(rows) == len(recorded)
        counts = scalars(
            durable,
            organization_id,
            "SELECT coalesce(sum(issued), 0) FROM analytics_hourusage",
            "SELECT coalesce(sum(issued), 0) FROM analytics_quarterusage",
            "SELECT coalesce(sum(issued), 0) FROM analytics_agentdayusage",
            "SELECT coalesce(sum(issued), 0) FROM analytics_agentmonthusage",
        )
        assert counts == [len(recorded)] * 4, organization_id
        limit, monthly = scalars(
            durable,
            organization_id,
            "SELECT max_tokens_per_month FROM organizations_organization "
            "WHERE id = current_setting('app.organization_id')::uuid",
            "SELECT coalesce(sum(issued), 0) FROM tokens_monthlyusage",
        )
        assert limit is None or monthly == len(recorded)
    assert set(load.statuses) == {200, 503}, load.statuses
    print(  # noqa: T201
        f"{len(load.acknowledged)} acknowledged, 0 lost, {KILLS} kills, "
        f"recovered in {', '.join(f'{seconds:.2f}' for seconds in recoveries)} s, "
        f"answers {dict(load.statuses)}"
    )
