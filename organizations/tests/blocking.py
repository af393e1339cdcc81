"""Runs two operations concurrently in a fixed order."""

from concurrent.futures import Future
from typing import Any

import psycopg
from django.db import connection

BLOCKED = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid)))"

HEAD = "SELECT sequence FROM organizations_auditchain WHERE organization_id = %s FOR UPDATE NOWAIT"
"""Locks the audit log of the organization, and fails while somebody else holds it."""


def until_it_waits(task: "Future[Any]", blocker: psycopg.Connection) -> None:
    """Wait until the task waits for a lock that `blocker` holds."""
    with connection.cursor() as cursor:
        while not cursor.execute(BLOCKED, [blocker.info.backend_pid]).fetchone()[0]:
            assert not task.done(), task.result()
