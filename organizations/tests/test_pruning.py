"""The worker deletes counters of attempts every hour."""

from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from procrastinate.contrib.django import app

from core.throttling import Quota, count_attempt
from organizations.models import Attempt
from organizations.pruning import delete_batch, past_attempts
from tests.plans import nodes


def test_counters_of_a_running_window_stay(db: None) -> None:
    hour = Quota(1, timedelta(hours=1))
    for key in ("new", "old", "older"):
        count_attempt(key, hour)
    Attempt.objects.filter(key__startswith="old").update(ends_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("SELECT organizations_note_failure('full', 0, '1 minute', 'left out x')")

    app.tasks["organizations.prune_attempts"](timestamp=0)

    assert set(Attempt.objects.values_list("key", flat=True)) == {"new", "full", "left out x"}
    assert ("organizations.prune_attempts", "17 * * * *") in {
        (each.task.name, each.cron) for each in app.periodic_registry.periodic_tasks.values()
    }


def test_pruning_reads_the_counters_that_it_deletes_and_no_others(owner: Any) -> None:
    """Those of a flood are many, and most of them still count."""
    owner.execute(
        "INSERT INTO organizations_attempt (key, started_at, ends_at, attempts) "
        "SELECT n, now(), now() + (n - 100) * interval '1 minute', 1 "
        "FROM generate_series(1, 9000) n"
    )
    owner.execute("ANALYZE organizations_attempt")

    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        assert delete_batch(past_attempts(), 10) == 10
        plans = []
        for query in captured.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
                plans += list(nodes(cursor.fetchone()[0][0]["Plan"]))

    assert {node["Index Name"] for node in plans if "Index Name" in node} == {
        "organizations_attempt_ends",
        "organizations_attempt_pkey",
    }
    assert not {"Seq Scan", "Sort"} & {node["Node Type"] for node in plans}


def test_a_job_of_the_release_before_runs_under_its_name(db: None) -> None:
    past = timezone.now() - timedelta(days=1)
    Attempt.objects.create(key="old", attempts=1, started_at=past, ends_at=past)

    app.tasks["tokens.prune_attempts"](timestamp=0)

    assert not Attempt.objects.exists()
