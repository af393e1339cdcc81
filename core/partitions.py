"""Tables partitioned by month (UTC), whose partitions are made ahead.

Any table that is partitioned by a time, with a default partition, is one of them. The functions of
the database decide by its own clock (organizations/sql/organizations_make_partitions.sql).
"""

from django.db import connection
from django.db.backends.utils import CursorWrapper

IS_THERE = "SELECT to_regprocedure('organizations_make_partitions()') IS NOT NULL"


def make_partitions(cursor: CursorWrapper | None = None) -> list[str]:
    """Make what is missing for this month and the next three; return the names of the new ones.

    Raise OperationalError if a lock is not free within half a second: try again later.
    """
    if cursor is None:
        with connection.cursor() as own:
            return make_partitions(own)
    cursor.execute("SELECT organizations_make_partitions()")
    return [name for (name,) in cursor.fetchall()]


def months_without_partition(cursor: CursorWrapper) -> list[tuple[str, str]]:
    """(table, month) of each partition that is missing for this month and the next."""
    cursor.execute(
        "SELECT partitioned::text, to_char(month, 'YYYY-MM') "
        "FROM organizations_months_without_partition()"
    )
    return list(cursor.fetchall())
