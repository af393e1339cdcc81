"""Where the files of executions lie, and how they go.

A folder for each execution holds its files side by side, named by ids. The storage is a folder of
this machine (file_folder.py) or a bucket (file_bucket.py): the settings say which.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Protocol, cast
from uuid import UUID

import structlog
from django.core.files.storage import default_storage

from core.errors import CODES, DomainError

logger = structlog.get_logger(__name__)


class FilesUnavailable(DomainError):
    """The storage cannot be reached, has no room, or refuses us. The log says which."""

    code = CODES[HTTPStatus.SERVICE_UNAVAILABLE]
    status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "The storage of files cannot be used at the moment. Try again shortly."
    retry_after = 5


class FileStorage(Protocol):
    """What both kinds of storage can do beside Django's own interface."""

    def remove_folder(self, name: str) -> list[str]:
        """Delete the files in the folder; what is wrong with those that stay, a sentence each."""

    def folders(self, name: str) -> Iterator[str]:
        """The names of the folders in this one; none where it is not there."""

    def problem(self) -> str:
        """Why it cannot be used, in one sentence; empty when it can. Answers within seconds."""

    def root_problem(self) -> str:
        """Why a command that runs as root should write nothing, in one sentence; empty else."""


def folder_of(organization_id: UUID, execution_id: UUID) -> str:
    """Where the storage keeps an execution's files, each named by its own id."""
    return f"executions/{organization_id}/{execution_id}"


def remove_folder(organization_id: UUID, execution_id: UUID) -> bool:
    """Delete the files of a deleted execution; whether nothing is left of them.

    It raises nothing, for the deletion is committed already: what cannot be removed is logged, and
    tried again every night.
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
    """Delete a file that no row names any more; what cannot be removed is logged."""
    try:
        default_storage.delete(name)
    except FilesUnavailable as error:
        logger.warning("files.not_removed", file=name, error=error.message)


def execution_folders(organization_id: UUID) -> Iterator[UUID]:
    """The ids of the organization's executions that have a folder."""
    for name in _storage().folders(f"executions/{organization_id}"):
        try:
            yield UUID(name)
        except ValueError:
            continue


def storage_problem() -> str:
    """Why the storage cannot be used, in one sentence; empty when it can."""
    return _storage().problem()


def root_problem() -> str:
    """Why a command that an operator started as root should write no file, in one sentence: the
    account that serves could neither add to its folders nor delete it."""
    return _storage().root_problem()


@contextmanager
def told_as_unavailable(*errors: type[Exception]) -> Iterator[None]:
    """What fails for one of these reasons fails as FilesUnavailable; a file that is not there
    stays a FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except errors as error:
        # These texts name our bucket, its server or a folder of ours: for the log only.
        logger.warning("files.unavailable", error=type(error).__name__, reason=str(error)[:300])
        raise FilesUnavailable from None


def _storage() -> FileStorage:
    return cast(FileStorage, default_storage)
