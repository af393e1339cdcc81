"""Operators' probes are right, and the number of metrics is bounded."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from agentidp import health
from agentidp.devtools.embedded_postgres import Cluster
from agentidp.devtools.postgres_binaries import find_binaries
from agentidp.tests.conftest import NewFolder
from core.database_metrics import background
from core.tests.queue import make_worker


@pytest.fixture(autouse=True)
def look_again() -> None:
    """Drop cached results, which may be from the previous test."""
    health.readiness.forget()
    background.forget()


@pytest.fixture
def cluster(new_folder: NewFolder) -> Iterator[Cluster]:
    """A PostgreSQL that only this test uses, and may stop."""
    made = Cluster(new_folder(), find_binaries(), durable=False)
    made.start()
    yield made
    made.stop()


def test_ready_means_that_everything_is_there(db: None) -> None:
    make_worker()

    answer = Client().get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "checks": dict.fromkeys(
            [
                "disk",
                "files",
                "database",
                "clock",
                "migrations",
                "protection",
                "partitions",
                "worker",
                "queue",
            ],
            "ok",
        ),
    }


@pytest.mark.parametrize(("seconds", "said"), [(-60, "failed"), (60, "failed"), (1, "ok")])
def test_a_clock_that_is_not_the_databases_is_told(db: None, seconds: int, said: str) -> None:
    """The database's clock dates tokens; that of this machine checks them."""
    make_worker()

    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
        answer = Client().get("/readyz")

    assert (answer.status_code, answer.json()["checks"]["clock"]) == (200, said)
    assert answer.json()["status"] == ("ok" if said == "ok" else "degraded")


def test_the_probes_name_no_version_and_no_host(db: None) -> None:
    text = Client().get("/livez").content + Client().get("/readyz").content

    assert not re.search(rb"\d+\.\d+|postgres|localhost|/tmp", text)


def test_without_its_database_it_lives_but_is_not_ready(
    db: None, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = Client()
    socket = str(cluster.sockets)
    cluster.stop()
    away = connection.copy()
    away.settings_dict = connection.settings_dict | {"HOST": socket, "OPTIONS": {}}
    monkeypatch.setattr("agentidp.health.connection", away)
    attempts: list[Any] = []
    connect = away.get_new_connection
    monkeypatch.setattr(
        away, "get_new_connection", lambda given: (attempts.append(given), connect(given))[1]
    )

    ready = probe.get("/readyz")
    live = probe.get("/livez")

    assert ready.status_code == 503
    assert ready.json()["checks"]["database"] == "failed"
    assert len(attempts) == 1, "a probe that tries again does not answer in time"
    assert live.status_code == 200


def test_readiness_is_checked_at_most_once_a_second(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    executors: list[Any] = []

    class Counted(MigrationExecutor):
        def __init__(self, *args: Any) -> None:
            executors.append(self)
            super().__init__(*args)

    monkeypatch.setattr("agentidp.checks.MigrationExecutor", Counted)
    moment = time.monotonic()
    with patch("core.cached_checks.time.monotonic", lambda: moment):
        for _ in range(5):
            assert Client().get("/readyz").status_code == 200
    asked_at_once = len(executors)
    with patch("core.cached_checks.time.monotonic", lambda: moment + 1.1):
        Client().get("/readyz")

    assert (asked_at_once, len(executors)) == (1, 2)


@pytest.mark.django_db(transaction=True)
def test_all_who_ask_at_once_wait_for_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    asking, looks = threading.Barrier(8), []
    look = health._run_checks

    def counted() -> dict[str, bool]:
        looks.append(1)
        return look()

    def ask(_: int) -> dict[str, bool]:
        asking.wait()
        try:
            return health.readiness()
        finally:
            connection.close()

    monkeypatch.setattr(health, "_run_checks", counted)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, range(8)))

    assert len(looks) == 1
    assert found == [found[0]] * 8


def series_of(text: str) -> set[str]:
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def test_a_thousand_addresses_make_no_series_of_their_own(db: None) -> None:
    probe = Client()
    probe.get("/nowhere")
    scraped = probe.get("/metrics")
    before = series_of(scraped.content.decode())

    for number in range(1000):
        probe.generic(f"METHOD{number}", f"/nowhere/{number}")
    after = series_of(probe.get("/metrics").content.decode())

    assert scraped.status_code == 200
    grown = {each for each in after - before if "nowhere" in each or re.search(r"METHOD\d", each)}
    assert grown == set()
    assert len(after - before) < 40


@pytest.mark.parametrize(
    ("given", "status"),
    [({}, 403), ({"Authorization": "Bearer wrong"}, 403), ({"Authorization": "Bearer right"}, 200)],
)
def test_metrics_ask_for_their_token(
    db: None, settings: Any, given: dict[str, str], status: int
) -> None:
    settings.METRICS_TOKEN = "right"

    assert Client(headers=given).get("/metrics").status_code == status


@pytest.mark.parametrize("host", ["127.0.0.1:8001", "10.0.0.7:3000", "evil.example", "a b", ""])
@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_probes_answer_under_any_host_and_nothing_else_does(
    db: None, settings: Any, path: str, host: str
) -> None:
    settings.METRICS_TOKEN, settings.ALLOWED_HOSTS = "right", ["id.example.com"]
    probe = Client(HTTP_HOST=host, headers={"Authorization": "Bearer right"})

    assert probe.get(path).status_code == 200
    for other in ("/login", f"{path}/", f"/api/v1{path}", f"/login/..{path}"):
        assert probe.get(other).status_code == 400, other


@pytest.mark.parametrize(
    ("token", "request_headers", "reason"),
    [
        ("right", {}, "is not that of AGENTIDP_METRICS_TOKEN"),
        ("right", {"HTTP_AUTHORIZATION": "Bearer wrong"}, "is not that of AGENTIDP_METRICS_TOKEN"),
        ("", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, "until AGENTIDP_METRICS_TOKEN is set"),
        ("", {"REMOTE_ADDR": "192.0.2.7"}, "until AGENTIDP_METRICS_TOKEN is set"),
        ("", {"HTTP_HOST": "evil.example"}, "AGENTIDP_METRICS_TOKEN is not set"),
        ("", {"HTTP_HOST": "[evil.example:3000"}, "AGENTIDP_METRICS_TOKEN is not set"),
    ],
)
def test_the_log_says_what_a_scraper_lacks(
    db: None, settings: Any, token: str, request_headers: dict[str, str], reason: str
) -> None:
    settings.METRICS_TOKEN = token

    with capture_logs() as logs:
        answer = Client(**request_headers).get("/metrics")

    assert answer.status_code == 403
    assert "log" in answer.json()["message"]
    (refusal,) = [each for each in logs if each["event"] == "metrics.refused"]
    assert reason in refusal["reason"]


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "[::1]:3000", "localhost"])
def test_on_this_machine_metrics_need_no_name(db: None, settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = ["id.example.com", "localhost"]

    assert Client(HTTP_HOST=host).get("/metrics").status_code == 200


@pytest.mark.parametrize("address", ["192.0.2.7", "::ffff:192.0.2.7", "", "x"])
def test_without_a_token_only_this_machine_reads_metrics(db: None, address: str) -> None:
    assert Client(REMOTE_ADDR=address).get("/metrics").status_code == 403


def test_what_a_killed_process_had_open_is_forgotten(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    counters = tmp_path / f"counter_{ended.pid}.db"
    gone, here = (tmp_path / f"gauge_livesum_{pid}.db" for pid in (ended.pid, os.getpid()))
    for path in (counters, gone, here):
        path.touch()

    health.forget_ended_processes(tmp_path)

    assert set(tmp_path.iterdir()) == {counters, here}
