"""The clock of the database, which decides what has expired and is deleted.

The clock of a process may be wrong: ahead, a worker would delete what is still needed, and what it
ends would seem to end later. So a time that ends a right is written and compared by this clock. It
may itself be ahead and be corrected: what ends at once is therefore a fact, such as a status, a
generation or a missing row, and no time (tests/test_wrong_clocks.py, tests/test_own_clocks.py).
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
