"""Metrics show workers, queues, leases and connections, and no names."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from agentidp import health
from core.database_metrics import background
from core.tests.queue import make_job, make_worker
from executions.models import Execution
from organizations.tenancy.scope import organization_scope
from tests.tenants import Tenant

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "operator-metrics.md"


@pytest.fixture(autouse=True)
def look_again() -> Iterator[None]:
    health.readiness.forget()
    background.forget()
    yield
    background.forget()


def scraped() -> dict[str, dict[tuple[str, ...], float]]:
    """Every metric family by name, as label values and number."""
    text = Client().get("/metrics").content.decode()
    return {
        family.name: {tuple(each.labels.values()): each.value for each in family.samples}
        for family in text_string_to_metric_families(text)
    }


def families() -> dict[str, str]:
    text = Client().get("/metrics").content.decode()
    return {family.name: family.type for family in text_string_to_metric_families(text)}


def ready() -> tuple[int, str, dict[str, str]]:
    answer = Client().get("/readyz")
    body = answer.json()
    return answer.status_code, body["status"], body["checks"]


@pytest.mark.parametrize("seconds_ago", [None, 120])
def test_without_a_worker_it_serves_and_says_what_is_missing(
    db: None, seconds_ago: float | None
) -> None:
    if seconds_ago is not None:
        make_worker(seconds_ago=seconds_ago)

    status, word, checks = ready()

    assert (status, word) == (200, "degraded")
    assert {name for name, found in checks.items() if found != "ok"} == {"worker"}
    assert scraped()["agentidp_workers"] == {(): 0}


def test_a_job_that_waits_too_long_is_seen(db: None) -> None:
    make_worker()
    make_job("executions", "todo", deferred_ago=900)
    make_job("executions", "todo", deferred_ago=10)
    make_job("maintenance", "todo", deferred_ago=90_000, due_ago=-600)
    make_job("maintenance", "todo", deferred_ago=90_000, due_ago=40)
    make_job("mail", "failed", deferred_ago=5000)
    make_job("of-nobody-who-is-known", "doing")

    status, word, checks = ready()
    found = scraped()

    assert (status, word, checks["queue"], checks["worker"]) == (200, "degraded", "failed", "ok")
    jobs, oldest = found["agentidp_jobs"], found["agentidp_oldest_job_seconds"]
    assert jobs["executions", "todo"] == jobs["maintenance", "todo"] == 2
    assert (jobs["mail", "failed"], jobs["mail", "todo"]) == (1, 0)
    assert jobs["other", "doing"] == 1
    assert oldest["executions",] == pytest.approx(900, abs=5)
    assert oldest["maintenance",] == pytest.approx(40, abs=5)
    assert oldest["mail",] == 0


def test_a_heartbeat_is_reported_as_a_time(db: None) -> None:
    make_worker(seconds_ago=30)
    make_worker(seconds_ago=3)

    found = scraped()

    (heartbeat,) = found["agentidp_worker_last_heartbeat_timestamp_seconds"].values()
    assert heartbeat == pytest.approx(timezone.now().timestamp() - 3, abs=3)
    assert found["agentidp_workers"] == {(): 2}


def test_executions_and_leases_of_all_organizations_are_counted_without_a_name(
    ours: Tenant, theirs: Tenant
) -> None:
    before = scraped()
    for tenant, minutes in ((ours, 5), (theirs, -5)):
        execution = tenant.execution
        with organization_scope(tenant.organization):
            Execution.objects.filter(pk=execution.pk).update(
                lease_expires_at=timezone.now() + timedelta(minutes=minutes)
            )
    background.forget()

    text = Client().get("/metrics").content.decode()
    found = scraped()

    def grown(name: str, *labels: str) -> float:
        return found[name][labels] - before[name][labels]

    assert grown("agentidp_executions", Execution.Status.RUNNING) == 2
    assert grown("agentidp_leases", "held") == 1
    assert grown("agentidp_leases", "lapsed") == 1
    for tenant in (ours, theirs):
        for name in (tenant.organization.pk, tenant.organization.slug, tenant.word):
            assert str(name) not in text


def test_connections_are_counted(db: None) -> None:
    found = scraped()

    assert found["agentidp_database_up"] == {(): 1}
    assert found["agentidp_database_connections"]["active",] >= 1
    assert found["agentidp_database_connections_waiting"] == {(): 0}
    assert found["agentidp_database_connections_max"][()] >= 10


def test_the_database_is_asked_once_however_often_metrics_are_read(
    db: None, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(6):
        for _ in range(5):
            scraped()


def documented() -> set[str]:
    return set(re.findall(r"^\| `((?:agentidp|http)_\w+)` \|", PAGE.read_text(), re.M))


def test_every_metric_is_documented_and_every_documented_one_exists(db: None) -> None:
    own = {
        f"{name}_total" if kind == "counter" else name
        for name, kind in families().items()
        if name.startswith(("agentidp_", "http_"))
    }

    assert documented() == own


def test_the_alert_rules_ask_for_metrics_that_exist() -> None:
    (rules,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    asked = set(re.findall(r"\b(?:agentidp|http)_\w+", rules))

    assert len(asked) > 5
    assert asked <= documented()
