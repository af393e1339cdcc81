"""Prometheus metrics from the database: workers, queues, executions and connections.

They are for the operator: no label names an organization, and every process reports the same
values.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.backends.utils import CursorWrapper
from procrastinate.contrib.django import app
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily

from core.cached_checks import CachedCheck

CHECK_INTERVAL_SECONDS = 5.0
WORKER_IS_LOST_AFTER = 45.0
"""Seconds. Workers send a heartbeat every 10."""
MAX_MILLISECONDS = 500
JOB_STATES = ("todo", "doing", "failed")
LIVE = ("queued", "starting", "running", "awaiting")
CONNECTION_STATES = ("active", "idle", "idle in transaction", "other")

WORKERS = """
    SELECT count(*) FILTER (WHERE last_heartbeat > now() - make_interval(secs => %s)),
           coalesce(extract(epoch FROM max(last_heartbeat)), 0)::float,
           extract(epoch FROM now() - max(last_heartbeat))::float
    FROM procrastinate_workers
"""
# The age is that of the oldest job that could have started; ids increase with age.
QUEUES = """
    SELECT queue_name, status, jobs,
           extract(epoch FROM now() - least(due, (
               SELECT min(at) FROM procrastinate_events WHERE job_id = first)))::float
    FROM (
        SELECT queue_name, status::text, count(*) AS jobs,
               min(id) FILTER (WHERE status = 'todo' AND scheduled_at IS NULL) AS first,
               min(scheduled_at) FILTER (WHERE status = 'todo' AND scheduled_at <= now()) AS due
        FROM procrastinate_jobs GROUP BY queue_name, status
    ) grouped
"""
EXECUTIONS = """
    SELECT coalesce(sum(queued), 0)::float, coalesce(sum(starting), 0)::float,
           coalesce(sum(running), 0)::float, coalesce(sum(awaiting), 0)::float,
           coalesce(sum(held_leases), 0)::float, coalesce(sum(lapsed_leases), 0)::float
    FROM executions_totals()
"""
CONNECTIONS = """
    SELECT coalesce(state, 'other'), count(*), count(*) FILTER (WHERE wait_event_type = 'Lock'),
           (SELECT least(current_setting('max_connections')::int, nullif(rolconnlimit, -1))
            FROM pg_roles WHERE rolname = current_user)
    FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user GROUP BY 1
"""


@dataclass
class Background:
    """A snapshot of workers, jobs, executions and connections."""

    workers: int = 0
    last_heartbeat: float = 0.0
    """Seconds since 1970; 0 if there is no worker."""
    silence: float | None = None
    jobs: dict[tuple[str, str], int] = field(default_factory=dict)
    oldest_job: dict[str, float] = field(default_factory=dict)
    executions: dict[str, float] = field(default_factory=dict)
    leases: dict[str, float] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    waiting_connections: int = 0
    max_connections: int = 0


def _take_snapshot() -> Background | None:
    """Read a new snapshot; None when the database does not answer in time."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {MAX_MILLISECONDS}")
            snapshot = _read(cursor)
            cursor.execute("RESET statement_timeout")
    except (DatabaseError, InterfaceError):
        connection.close()
        return None
    return snapshot


def _read(cursor: CursorWrapper) -> Background:
    snapshot = Background()
    cursor.execute(WORKERS, [WORKER_IS_LOST_AFTER])
    snapshot.workers, snapshot.last_heartbeat, snapshot.silence = cursor.fetchone()
    queues = {task.queue for task in app.tasks.values()}
    snapshot.jobs = {(queue, state): 0 for queue in queues for state in JOB_STATES}
    snapshot.oldest_job = dict.fromkeys(queues, 0.0)
    cursor.execute(QUEUES)
    for name, state, jobs, age in cursor.fetchall():
        queue = name if name in queues else "other"
        if state in JOB_STATES:
            snapshot.jobs[queue, state] = snapshot.jobs.get((queue, state), 0) + jobs
        if age is not None:
            snapshot.oldest_job[queue] = max(snapshot.oldest_job.get(queue, 0.0), age)
    snapshot.connections = dict.fromkeys(CONNECTION_STATES, 0)
    cursor.execute(CONNECTIONS)
    for state, connections, waiting, most in cursor.fetchall():
        snapshot.connections[state if state in CONNECTION_STATES else "other"] += connections
        snapshot.waiting_connections += waiting
        snapshot.max_connections = most
    # Last, and with a failure of its own: its cost grows with the number of organizations.
    with contextlib.suppress(OperationalError):
        cursor.execute(EXECUTIONS)
        *live, held, lapsed = cursor.fetchone()
        snapshot.executions = dict(zip(LIVE, live, strict=True))
        snapshot.leases = {"held": held, "lapsed": lapsed}
    return snapshot


background = CachedCheck(lambda: _take_snapshot(), CHECK_INTERVAL_SECONDS)


class BackgroundCollector:
    """Exports what `background()` returns to Prometheus."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        snapshot = background()
        yield _gauge(
            "database_up", "1 if the database answered in time, else 0.", float(bool(snapshot))
        )
        if snapshot is None:
            return
        yield _gauge("workers", "Workers with a recent heartbeat.", snapshot.workers)
        yield _gauge(
            "worker_last_heartbeat_timestamp_seconds",
            "Unix time of the latest heartbeat of a worker; 0 without a worker.",
            snapshot.last_heartbeat,
        )
        yield _family("jobs", "Jobs by queue and state.", ["queue", "state"], snapshot.jobs)
        yield _family(
            "oldest_job_seconds",
            "How long the oldest job that is due has waited.",
            ["queue"],
            snapshot.oldest_job,
        )
        yield _family(
            "executions", "Executions that have not ended.", ["status"], snapshot.executions
        )
        yield _family("leases", "Leases of executions.", ["state"], snapshot.leases)
        yield _family(
            "database_connections",
            "Database connections of the application's role.",
            ["state"],
            snapshot.connections,
        )
        yield _gauge(
            "database_connections_waiting",
            "Database connections that wait for a lock.",
            snapshot.waiting_connections,
        )
        yield _gauge(
            "database_connections_max",
            "The most connections that the role may have.",
            snapshot.max_connections,
        )


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"agentidp_{name}", documentation, value=value)


def _family(
    name: str, documentation: str, labels: list[str], values: Mapping[Any, float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"agentidp_{name}", documentation, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family


registry = CollectorRegistry()
registry.register(BackgroundCollector())
