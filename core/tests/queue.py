"""What the queue's tables hold while workers and jobs are about."""

from django.db import connection


def make_worker(*, seconds_ago: float = 0) -> None:
    """One that told so long ago that it lives."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) "
            "VALUES (now() - make_interval(secs => %s))",
            [seconds_ago],
        )


def make_job(
    queue: str, status: str, *, deferred_ago: float = 0, due_ago: float | None = None
) -> None:
    """A job of the queue; `due_ago` is negative for one whose time has not come."""
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
