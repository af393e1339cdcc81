"""The clock of the database, which decides what has expired and is deleted.

A worker's own clock may be wrong: ahead, it would delete what is still needed.
"""

from datetime import datetime, timedelta

from django.db import connection
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

MARGIN = timedelta(days=1)
"""How much longer than a token the rows are kept that make it invalid. A process with a slow clock
accepts the token longer."""


def ago(span: timedelta) -> CombinedExpression:
    """The time `span` before now, for `filter`."""
    return Now() - span


def database_time() -> datetime:
    """The current time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
        return found
