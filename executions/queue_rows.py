"""Ends rows of the job queue that no code of AgentIdP writes and that would stop other work.

Whoever got hold of the application's database role can write them.
"""

from typing import Any

from django.db import connection
from procrastinate.contrib.django import app

from organizations.tenancy.turns import MAINTENANCE

UNUSABLE = """
    UPDATE procrastinate_jobs SET status = 'failed'
    WHERE status IN ('todo', 'doing') AND (
        jsonb_typeof(args) <> 'object'
        OR scheduled_at NOT BETWEEN '2000-01-01' AND '9999-01-01'
        OR status = 'todo' AND queueing_lock = ANY (%(locks)s) AND (
            scheduled_at > now() + interval '1 hour' OR lock IS NOT NULL
            OR queueing_lock || ' ' || task_name || ' ' || queue_name <> ALL (%(periodic)s))
        OR status = 'todo' AND split_part(queueing_lock, ' ', 1) = ANY (%(tasks)s)
            AND queueing_lock LIKE '%% %%' AND (
            scheduled_at > now() + interval '1 hour' OR lock IS DISTINCT FROM queueing_lock
            OR queue_name <> %(maintenance)s
            OR task_name || ' ' || (args ->> 'organization_id') IS DISTINCT FROM queueing_lock))
    RETURNING id, left(task_name, 100)
"""
"""A job without named arguments ends its task before it can be recorded as failed, and a time that
Python does not know stops the listing of lost jobs. A job that waits for ever under the lock of a
nightly one, or of an organization's turn, stops that."""
DEFERRED_AHEAD = """
    DELETE FROM procrastinate_periodic_defers
    WHERE defer_timestamp > extract(epoch FROM now()) + 3600
    RETURNING coalesce(job_id, 0), left(task_name, 100)
"""
"""A nightly job is not queued if it seems to be already. An hour allows for a clock ahead."""


def end_unusable_rows() -> list[tuple[int, str]]:
    """The number of the job and the name of the task of each row that was ended or removed."""
    tasks = [periodic.task for periodic in app.periodic_registry.periodic_tasks.values()]
    values: dict[str, Any] = {
        "locks": [task.queueing_lock for task in tasks],
        "tasks": list(app.tasks),
        "maintenance": MAINTENANCE,
        "periodic": [f"{task.queueing_lock} {task.name} {task.queue}" for task in tasks],
    }
    with connection.cursor() as cursor:
        cursor.execute(UNUSABLE, values)
        ended = cursor.fetchall()
        cursor.execute(DEFERRED_AHEAD)
        return ended + cursor.fetchall()
