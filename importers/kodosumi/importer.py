"""Importing the executions of a kodosumi deployment into one organization.

The position up to which an execution was read is stored in its row (`source_position`) together
with its events, so an import can be interrupted at any time and the next one continues.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError

from executions.models import Execution, ExecutionFile
from importers.kodosumi.batch import Batch, write
from importers.kodosumi.databases import Role, opened_copy, read_monitor, read_roles
from importers.kodosumi.folders import (
    DataFolder,
    ExecutionFolder,
    SourceFile,
    Unreadable,
    database_in,
    files_in,
    is_deleted,
    reason,
    stamp,
)
from importers.kodosumi.people import People
from importers.kodosumi.stored_files import update_files
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

GROUP = 200
"""Executions that are processed, and usually written, together."""
MAX_ROLES = 100_000
MAX_FILE_BYTES = 1 << 30
REFUSED = (DatabaseError, ValueError, OverflowError, RecursionError)
"""Errors that one execution's content may cause despite all checks; they must not stop the
others.
"""
TAKEN = "has the id of another execution of the organization"
WAS_TAKEN = "has the id of another execution of the organization, which was deleted"
GONE = (OperationalError, InterfaceError)
"""AgentIdP's database is unavailable; no execution's content is the cause."""


@dataclass
class Report:
    """The outcome of an import. `problems` names each path that was skipped or read only in
    part.
    """

    looked_at: int = 0
    imported: int = 0
    updated: int = 0
    deleted: int = 0
    left_out: int = 0
    """Executions that were deleted here before."""
    events: int = 0
    files: int = 0
    files_removed: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        return asdict(self) | {"problems": len(self.problems)}


@contextmanager
def importer(
    source: DataFolder,
    organization: Organization,
    *,
    largest_file: int = MAX_FILE_BYTES,
    warn: Callable[[str, str], None] = lambda path, what: None,
) -> Iterator[Importer]:
    """An Importer with a temporary folder for its copies; its start and end are audited.

    `warn` is called for each problem as it occurs.
    """
    with tempfile.TemporaryDirectory(prefix="agentidp-import-") as workspace:
        work = Importer(source, organization, Path(workspace), largest_file, warn)
        work.record(AuditAction.EXECUTION_IMPORT_STARTED, folder=str(source.path))
        yield work
        work.record(
            AuditAction.EXECUTION_IMPORT_FINISHED, folder=str(source.path), **work.report.counts()
        )


class Importer:
    """Imports the executions of one deployment into one organization."""

    def __init__(
        self,
        source: DataFolder,
        organization: Organization,
        workspace: Path,
        largest_file: int,
        warn: Callable[[str, str], None],
    ) -> None:
        self.report = Report()
        self._source = source
        self._organization = organization
        self._actor = Actor.for_system(organization, "import_kodosumi")
        self._people = People(organization)
        self._workspace = workspace
        self._largest_file = largest_file
        self._listener = warn
        self._batch = Batch()
        self._known: dict[str, Execution] = {}
        self._refused: set[ExecutionFolder] = set()
        self._told: set[tuple[str, str]] = set()

    def record(self, action: AuditAction, **facts: Any) -> None:
        with organization_scope(self._organization):
            record_event(action, actor=self._actor, **facts)

    def warn(self, path: str, what: str) -> None:
        """Add a problem to the report, and pass it to the listener the first time."""
        self.report.problems[path] = what
        if (path, what) not in self._told:
            self._told.add((path, what))
            self._listener(path, what)

    def _forget_problems(self, path: str) -> None:
        """Forget the problems of this path, which may have been solved."""
        problems = self.report.problems
        for old in [key for key in problems if key == path or key.startswith(f"{path}/")]:
            del problems[old]

    def update_users(self) -> None:
        roles: list[Role] = []
        try:
            with opened_copy(self._source.root, "admin.db", self._workspace) as connection:
                for role in islice(read_roles(connection), MAX_ROLES):
                    roles.append(role)
        except Unreadable as error:
            self.warn("admin.db", str(error))
        self._people.update(roles)

    def run(
        self,
        folders: Iterable[ExecutionFolder],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        advanced: Callable[[int], None] = lambda count: None,
    ) -> None:
        """Import what is new in these folders; `advanced` is called with the number processed."""
        remaining = iter(folders)
        while not should_stop() and (group := list(islice(remaining, GROUP))):
            looked_at = self._import(group, should_stop)
            self.report.looked_at += looked_at
            advanced(looked_at)

    def _import(self, group: Sequence[ExecutionFolder], should_stop: Callable[[], bool]) -> int:
        self._batch, self._refused = Batch(), set()
        dead = self._prepare(group)
        listings: dict[ExecutionFolder, tuple[list[SourceFile], bool]] = {}
        looked_at = 0
        for folder in group:
            if should_stop():
                break
            looked_at += 1
            self._forget_problems(str(folder))
            if folder in dead:
                if dead[folder]:
                    self.report.left_out += 1
                else:
                    self._refuse(folder, WAS_TAKEN)
                continue
            try:
                with self._source.open(folder) as opened:
                    if self._read(folder, opened):
                        listings[folder] = files_in(opened, str(folder), self.warn)
            except (OSError, Unreadable) as error:
                self.warn(str(folder), reason(error))
        self._flush()
        self._update_files(listings)
        return looked_at

    def _prepare(self, group: Sequence[ExecutionFolder]) -> dict[ExecutionFolder, bool]:
        """Load the organization's state of these executions; return the deleted ones, as
        People.deleted() does.
        """
        self._people.find(folder.user for folder in group)
        here = {"organization": self._organization, "fid__in": [folder.fid for folder in group]}
        with organization_scope(self._organization):
            found = Execution.objects.filter(**here).defer("meta", "inputs", "final", "error")
            self._known = {execution.fid: execution for execution in found}
            return self._people.deleted(group)

    def _read(self, folder: ExecutionFolder, opened: int) -> bool:
        """Read what is new; False if there is no execution here, or one whose name is already
        taken.
        """
        known = self._known.get(folder.fid)
        if known is not None and not self._people.have(known, folder):
            self._refuse(folder, TAKEN)
            return False
        if is_deleted(opened):
            self._batch.deletions.append(folder)
            return False
        name = database_in(opened)
        found = name and stamp(opened, name)
        if not name or not found:
            return False
        created = folder.created or found[2] / 1e9
        after = (known.source_position or 0) if known else 0
        reading = self._batch.start(folder, created, after)
        without_time = 0
        try:
            with opened_copy(opened, name, self._workspace) as connection:
                for row in read_monitor(connection, after):
                    self._batch.add(reading, row)
                    without_time += row.timestamp is None
                    if self._batch.is_full:
                        self._flush()
                        if folder in self._refused:
                            return False
                        reading = self._batch.start(folder, created, row.id)
        except Unreadable as error:
            self.warn(f"{folder}/{name}", str(error))
            if folder.fid not in self._known and not reading.rows:
                self._batch.readings.remove(reading)
                return False
        if without_time:
            self.warn(f"{folder}/{name}", f"has {without_time:,} rows without a usable time")
        return True

    def _flush(self) -> None:
        batch, self._batch = self._batch, Batch()
        if not batch.folders:
            return
        self._people.make(folder.user for folder in batch.folders)
        try:
            self._write(batch)
        except GONE:
            raise
        except REFUSED:
            for one in batch.split():
                self._write_alone(one)

    def _write_alone(self, batch: Batch) -> None:
        try:
            self._write(batch)
        except GONE:
            raise
        except REFUSED as error:
            (folder,) = batch.folders
            self._refuse(folder, f"cannot be stored: {_first_line(error)}")

    def _refuse(self, folder: ExecutionFolder, what: str) -> None:
        self._refused.add(folder)
        self.warn(str(folder), what)

    def _write(self, batch: Batch) -> None:
        written = write(batch, self._people, self._actor)
        self._known |= written.executions
        for folder in written.refused:
            self._refuse(folder, TAKEN)
        self.report.imported += written.imported
        self.report.updated += written.updated
        self.report.deleted += written.deleted
        self.report.events += written.events

    def _update_files(
        self, listings: Mapping[ExecutionFolder, tuple[list[SourceFile], bool]]
    ) -> None:
        here = {
            folder: self._known[folder.fid]
            for folder in listings
            if folder.fid in self._known and folder not in self._refused
        }
        known: dict[UUID, list[ExecutionFile]] = defaultdict(list)
        with organization_scope(self._organization):
            for file in ExecutionFile.objects.filter(
                organization=self._organization,
                execution_id__in=[execution.pk for execution in here.values()],
            ):
                known[file.execution_id].append(file)
        for folder, execution in here.items():
            found, is_complete = listings[folder]
            if not found and not known[execution.pk]:
                continue
            try:
                with self._source.open(folder) as opened:
                    came, went = update_files(
                        execution,
                        opened,
                        str(folder),
                        found,
                        is_complete=is_complete,
                        known=known[execution.pk],
                        largest=self._largest_file,
                        warn=self.warn,
                    )
            except GONE:
                raise
            except (OSError, *REFUSED) as error:
                self.warn(str(folder), f"cannot be stored: {_first_line(error)}")
            else:
                self.report.files += came
                self.report.files_removed += went


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
