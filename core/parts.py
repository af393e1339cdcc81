"""Work of many parts, such as one for each organization, of which one that fails must not stop the
others."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from core.failures import log_failure


class PartsFailed(Exception):
    """Some parts failed. Each failure has been logged with its traceback."""


class Parts:
    """Counts the failures of parts.

    A failed part is logged once; `finish()` after the last part raises PartsFailed if there was
    any, so that the job as a whole is seen to have failed.
    """

    def __init__(self) -> None:
        self.failed = 0

    @contextmanager
    def part(self, **fields: object) -> Iterator[None]:
        """Run one part. `fields` name it in the log.

        An outage of the database ends the work: no other part would fare better.
        """
        try:
            yield
        except Exception as error:
            log_failure(error, "part.failed", **fields)
            self.failed += 1
            connection.close_if_unusable_or_obsolete()
            connection.ensure_connection()

    def finish(self) -> None:
        if self.failed:
            raise PartsFailed(f"{self.failed} parts failed; the log has the reason of each.")
