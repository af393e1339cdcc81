"""Copying the files of an imported execution into the storage and keeping them in step."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO
from uuid import uuid5

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction

from executions.file_counts import recount_files
from executions.file_names import name_of
from executions.file_storage import remove_file
from executions.models import Execution, ExecutionFile
from importers.kodosumi.folders import ReportProblem, SourceFile, Unreadable, opened_file, reason
from organizations.tenancy.scope import organization_scope

PIECE = 1 << 20
IN_MEMORY = 4 * PIECE


def update_files(
    execution: Execution,
    folder: int,
    path: str,
    found: Iterable[SourceFile],
    *,
    is_complete: bool,
    known: Iterable[ExecutionFile],
    largest: int,
    warn: ReportProblem,
) -> tuple[int, int]:
    """Make the execution's files match those `found`; return how many were added and removed.

    Nothing is removed unless the list `is_complete`. `path` is the folder's path for `warn`.
    """
    wanted = {(file.area, file.path): file for file in found}
    have = {(file.area, file.path): file for file in known}
    changed = [
        file
        for key, file in wanted.items()
        if key not in have
        or (have[key].size, have[key].last_modified) != (file.size, file.last_modified)
    ]
    gone = [file for key, file in have.items() if key not in wanted] if is_complete else []
    if not changed and not gone:
        return 0, 0
    made = []
    for file in changed:
        try:
            made.append(_store(execution, folder, file, largest))
        except (OSError, Unreadable) as error:
            warn(f"{path}/{file.area}/{'/'.join(file.parts)}", reason(error))
    replaced = [have[key] for file in made if (key := (file.area, file.path)) in have]
    _write(execution, made, [*replaced, *gone])
    return len(made), len(gone)


def _store(execution: Execution, folder: int, file: SourceFile, largest: int) -> ExecutionFile:
    """Store the content under a name derived from the file and its version.

    After an interrupted import the next one overwrites what was left, or the worker removes it.
    """
    if file.size > largest:
        raise Unreadable(f"is larger than {largest:,} bytes")
    version = f"{file.area}/{file.path}\n{file.size}\n{file.last_modified!r}"
    key = uuid5(execution.pk, version)
    name = name_of(execution.organization_id, execution.pk, key)
    with _unchanging(folder, file) as content:
        if default_storage.exists(name):
            default_storage.delete(name)
        name = default_storage.save(name, File(content))
    return ExecutionFile(
        id=key,
        organization_id=execution.organization_id,
        execution_id=execution.pk,
        area=file.area,
        path=file.path,
        size=file.size,
        last_modified=file.last_modified,
        content=name,
    )


@contextmanager
def _unchanging(folder: int, file: SourceFile) -> Iterator[IO[bytes]]:
    """A copy of the file, guaranteed to be unchanged since it was listed."""
    with (
        SpooledTemporaryFile(max_size=IN_MEMORY) as copy,
        opened_file((file.area, *file.parts), inside=folder) as descriptor,
    ):
        missing = file.size
        while missing > 0 and (read := os.read(descriptor, min(missing, PIECE))):
            copy.write(read)
            missing -= len(read)
        found = os.fstat(descriptor)
        if missing or (found.st_size, found.st_mtime) != (file.size, file.last_modified):
            raise Unreadable("changed while it was read")
        copy.seek(0)
        yield copy


def _write(execution: Execution, made: list[ExecutionFile], removed: list[ExecutionFile]) -> None:
    with organization_scope(execution.organization_id):
        row = (
            Execution.objects.select_for_update()
            .filter(organization_id=execution.organization_id, pk=execution.pk)
            .only("organization_id")
            .first()
        )
        if row is None:  # It was deleted in the meantime.
            removed = made
        else:
            ExecutionFile.objects.filter(
                organization_id=execution.organization_id, pk__in=[file.pk for file in removed]
            ).delete()
            ExecutionFile.objects.bulk_create(made)
            recount_files(row)
        names = [file.content.name for file in removed]
        transaction.on_commit(lambda: _delete(names), robust=True)


def _delete(names: Iterable[str | None]) -> None:
    for name in names:
        if name:
            remove_file(name)
