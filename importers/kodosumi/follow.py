"""Following a live deployment by polling for changes.

An ended execution costs one look at its folder, whose time changes when a database is renamed or
its -wal file appears or disappears; a live one costs a look at each of its files.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog
from django.db import connection

from executions.models import Execution
from importers.kodosumi.folders import (
    AREAS,
    DATABASES,
    DataFolder,
    ExecutionFolder,
    Stamp,
    Unreadable,
    files_in,
    stamp,
)
from importers.kodosumi.importer import GONE, Importer
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

SHARE = 0.05
"""The maximum share of a processor spent on polling: the longer a look, the longer the pause."""
MAX_REST_SECONDS = 30.0
SETTLED = 2.0
"""Seconds after which a further change gives a file another time on any file system."""
LOGS = ("-wal", "-journal")

logger = structlog.get_logger(__name__)
State = object
"""To be compared only."""


@dataclass
class Seen:
    """The state of an execution's folder when it was imported."""

    changed: int
    """When the folder itself changed, in nanoseconds."""
    state: State
    """None if the folder may have changed again unnoticed, so that another look is needed."""
    is_quiet: bool
    """Whether every further change will show in the folder's own time."""
    has_ended: bool = False


class Follower:
    """Imports the changes of a deployment until it is stopped."""

    def __init__(self, source: DataFolder, organization: Organization, importer: Importer) -> None:
        self._source = source
        self._organization = organization
        self._importer = importer
        self._seen: dict[ExecutionFolder, Seen] = {}
        self._users: State = None

    def run(
        self,
        stop: threading.Event,
        interval: float,
        advanced: Callable[[int, int], None] = lambda count, total: None,
    ) -> None:
        """Look for changes every `interval` seconds until `stop` is set.

        Waits for our database when it is unavailable. `advanced` is called with the number of
        changed executions that were processed.
        """
        rest = interval
        while not stop.is_set():
            try:
                rest = max(interval, self.look(stop.is_set, advanced))
            except GONE as error:
                logger.warning("The database cannot be reached.", error=str(error))
                connection.close()
                rest = max(rest * 2, 1)
            stop.wait(min(rest, max(interval, MAX_REST_SECONDS)))

    def look(self, should_stop: Callable[[], bool], advanced: Callable[[int, int], None]) -> float:
        """Import the changes since the last look; return the seconds to pause."""
        started = time.monotonic()
        users = _databases(self._source.root, ["admin.db"])
        if users != self._users:
            self._importer.update_users()
            self._users = _settled(users, (found[2] / 1e9 for found in users.values()))
        changed: dict[ExecutionFolder, Seen] = {}
        present = set()
        for folder, when in self._source.executions(self._importer.warn):
            if should_stop():
                return 0
            present.add(folder)
            seen = self._seen.get(folder)
            if seen and seen.has_ended and seen.is_quiet and seen.changed == when:
                continue
            now = self._inspect(folder, when)
            if now is not None and (seen is None or now.state is None or now.state != seen.state):
                changed[folder] = now
        looked = time.monotonic()
        if changed:
            self._importer.run(
                changed,
                should_stop=should_stop,
                advanced=lambda count: advanced(count, len(changed)),
            )
            self._remember(changed)
        for gone in self._seen.keys() - present:
            del self._seen[gone]
        return max((looked - started) / SHARE, time.monotonic() - looked)

    def _inspect(self, folder: ExecutionFolder, changed: int) -> Seen | None:
        """The state of the folder; None if it has disappeared or is not readable any more."""
        try:
            with self._source.open(folder) as opened:
                databases = _databases(opened)
                has_files = any(stamp(opened, area) for area in AREAS)
                files = files_in(opened, "", lambda path, what: None)[0] if has_files else []
        except (OSError, Unreadable):
            return None
        times = [found[2] / 1e9 for found in databases.values()]
        times += [file.last_modified for file in files]
        return Seen(
            changed,
            state=_settled((databases, files), times),
            is_quiet=not has_files and not any(name.endswith(LOGS) for name in databases),
        )

    def _remember(self, changed: dict[ExecutionFolder, Seen]) -> None:
        with organization_scope(self._organization):
            live = set(
                Execution.objects.filter(
                    organization=self._organization, fid__in=[folder.fid for folder in changed]
                )
                .live()
                .values_list("fid", flat=True)
            )
        for folder, now in changed.items():
            now.has_ended = now.state is not None and folder.fid not in live
        self._seen |= changed


def _databases(folder: int, names: Iterable[str] = DATABASES) -> dict[str, Stamp]:
    """The databases in the folder with their logs and archives."""
    paths = [f"{name}{suffix}" for name in names for suffix in ("", *LOGS, ".archive")]
    return {path: found for path in paths if (found := stamp(folder, path))}


def _settled(state: State, times: Iterable[float]) -> State:
    """The state, or None if a time is so recent that a further change might not alter it."""
    now = time.time()
    return None if any(abs(now - changed) < SETTLED for changed in times) else state
