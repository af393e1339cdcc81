"""Where the files of executions are stored, and how they are removed.

Each execution has a folder with its files side by side, named by ids (file_names.py). The settings
choose the storage: a local folder (file_folder.py) or a bucket (file_bucket.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Protocol, cast
from uuid import UUID

import structlog
from django.core.files.base import File
from django.core.files.storage import default_storage

from core.errors import CODES, DomainError
from executions.file_names import folder_of

logger = structlog.get_logger(__name__)


class FilesUnavailable(DomainError):
    """The storage is unreachable, full, or refuses access. The log says which."""

    code = CODES[HTTPStatus.SERVICE_UNAVAILABLE]
    status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "The storage of files cannot be used at the moment. Try again shortly."
    retry_after = 5


@dataclass(frozen=True)
class StoredFile:
    name: str
    changed_at: datetime


class FileStorage(Protocol):
    """What both storages offer beyond Django's own interface."""

    def remove_folder(self, name: str) -> list[str]:
        """Delete the files in the folder; return a message for each that could not be removed."""

    def folders(self, name: str) -> Iterator[str]:
        """The names of the folders inside this one; none when it does not exist."""

    def files(self, name: str) -> Iterator[StoredFile]:
        """The files in the folders inside this one; none when it does not exist."""

    def problem(self) -> str:
        """Why the storage cannot be used, in one sentence; empty when it can. Answers within
        seconds.
        """

    def root_problem(self) -> str:
        """Why a command run as root should write nothing, in one sentence; empty when it may."""


_saved: ContextVar[list[str] | None] = ContextVar("_saved", default=None)


def save_file(name: str, content: File[Any]) -> str:
    """Save a file and return its name, which must be new: it is removed if its row is not kept."""
    name = default_storage.save(name, content)
    saved = _saved.get()
    if saved is not None:
        saved.append(name)
    return name


@contextmanager
def removing_saved_files_on_error() -> Iterator[None]:
    """Remove the files that were saved inside if an exception ends the block, because their rows
    are rolled back with it.

    For blocks inside a transaction only. Whether the commit itself succeeded is not always known:
    if it failed, the worker removes the files at night (unnamed_files.py).
    """
    saved: list[str] = []
    before = _saved.set(saved)
    try:
        yield
    except BaseException:
        for name in saved:
            remove_file(name)
        raise
    finally:
        _saved.reset(before)


def remove_folder(organization_id: UUID, execution_id: UUID) -> bool:
    """Delete the files of a deleted execution. Return whether all of them are gone.

    Never raises, because the deletion is already committed: failures are logged and retried every
    night.
    """
    name = folder_of(organization_id, execution_id)
    try:
        problems = _storage().remove_folder(name)
    except FilesUnavailable:
        problems = [FilesUnavailable.message]
    if problems:
        logger.warning("files.not_removed", folder=name, left=len(problems), error=problems[0])
    return not problems


def remove_file(name: str) -> None:
    """Delete a file that no row refers to any more; failures are logged."""
    try:
        default_storage.delete(name)
    except FilesUnavailable as error:
        logger.warning("files.not_removed", file=name, error=error.message)


def execution_folders(organization_id: UUID) -> Iterator[UUID]:
    """The ids of the organization's executions that have a folder in the storage."""
    for name in _storage().folders(f"executions/{organization_id}"):
        try:
            yield UUID(name)
        except ValueError:
            continue


def execution_files(organization_id: UUID) -> Iterator[tuple[UUID, StoredFile]]:
    """The files in the storage of each of the organization's executions, with its id."""
    for file in _storage().files(f"executions/{organization_id}"):
        try:
            yield UUID(file.name.split("/")[2]), file
        except ValueError:
            continue


def storage_problem() -> str:
    """Why the storage cannot be used, in one sentence; empty when it can."""
    return _storage().problem()


def root_problem() -> str:
    """Why a command run as root should write no files, in one sentence; empty when it may.

    The account that serves requests could neither delete those files nor add to their folders.
    """
    return _storage().root_problem()


@contextmanager
def raising_files_unavailable(*errors: type[Exception]) -> Iterator[None]:
    """Raise storage errors as FilesUnavailable; a missing file stays a FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except errors as error:
        # These messages name our bucket, its server or a local folder, so they go to the log only.
        logger.warning("files.unavailable", error=type(error).__name__, reason=str(error)[:300])
        raise FilesUnavailable from None


def _storage() -> FileStorage:
    return cast(FileStorage, default_storage)
