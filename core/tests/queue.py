"""Rows in the tables of the job queue."""

from django.db import connection


def make_worker(*, seconds_ago: float = 0) -> None:
    """A worker whose last heartbeat was that long ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) "
            "VALUES (now() - make_interval(secs => %s))",
            [seconds_ago],
        )


def make_job(
    queue: str, status: str, *, deferred_ago: float = 0, due_ago: float | None = None
) -> None:
    """A job in the queue. A negative `due_ago` schedules it in the future."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status, scheduled_at) "
            "VALUES (%s, 'a.task', %s, now() - make_interval(secs => %s)) RETURNING id",
            [queue, status, due_ago],
        )
        (number,) = cursor.fetchone()
        cursor.execute(
            "UPDATE procrastinate_events SET at = now() - make_interval(secs => %s) "
            "WHERE job_id = %s",
            [deferred_ago, number],
        )
