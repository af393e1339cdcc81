"""Where the files of executions lie, and how they go.

A folder for each execution holds its files side by side, named by ids: no folder of ours has
another one in it, and none has a link. Nothing here follows one.
"""

import os
from collections.abc import Iterator
from uuid import UUID

import structlog
from django.core.files.storage import default_storage

logger = structlog.get_logger(__name__)

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def folder_of(organization_id: UUID, execution_id: UUID) -> str:
    """Where the storage keeps an execution's files, each named by its own id."""
    return f"executions/{organization_id}/{execution_id}"


def remove_folder(organization_id: UUID, execution_id: UUID) -> bool:
    """Delete the files of a deleted execution; whether nothing is left of them.

    It raises nothing, for the deletion is committed already: what cannot be removed is logged, and
    tried again every night. A directory in the folder is not ours and stays; of a link only the
    link goes.
    """
    name = folder_of(organization_id, execution_id)
    path = default_storage.path(name)
    try:
        descriptor = os.open(path, FOLDER)
    except FileNotFoundError:
        return True
    except OSError as error:
        logger.warning("files.not_removed", folder=name, error=str(error.strerror))
        return False
    try:
        problems = list(_remove_files(descriptor))
    finally:
        os.close(descriptor)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError as error:
        first = problems[0] if problems else str(error.strerror)
        logger.warning("files.not_removed", folder=name, left=len(problems), error=first)
        return False
    return True


def remove_file(name: str) -> None:
    """Delete a file that no row names any more; what cannot be removed is logged."""
    try:
        default_storage.delete(name)
    except OSError as error:
        logger.warning("files.not_removed", file=name, error=str(error.strerror))


def execution_folders(organization_id: UUID) -> Iterator[UUID]:
    """The ids of the organization's executions that have a folder."""
    try:
        entries = os.scandir(default_storage.path(f"executions/{organization_id}"))
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            try:
                yield UUID(entry.name)
            except ValueError:
                continue


def _remove_files(folder: int) -> Iterator[str]:
    """Delete what is in the folder but other folders; gives what is wrong with what stays."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield "There is a directory in it."
                continue
            try:
                os.unlink(entry.name, dir_fd=folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                yield str(error.strerror)
