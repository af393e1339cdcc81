"""The files of executions in a folder shared by all processes.

An execution's folder contains neither sub-folders nor links. Nothing here follows a link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.files.storage import FileSystemStorage

from executions.file_storage import StoredFile, raising_files_unavailable

ROOT = 0
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderStorage(FileSystemStorage):
    """Django's storage with disk errors raised as FilesUnavailable, and files that survive a power
    cut once they are saved; see FileStorage for the rest.
    """

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        with raising_files_unavailable(OSError):
            opened: File[Any] = super()._open(name, mode)  # type: ignore[misc]  # no stub has it
            return opened

    def _save(self, name: str, content: File[Any]) -> str:
        with raising_files_unavailable(OSError):
            try:
                saved: str = super()._save(name, content)  # type: ignore[misc]
                self._sync(saved)
                return saved
            except BaseException:
                self._remove_begun(name)  # for example, the disk is full
                raise

    def _sync(self, name: str) -> None:
        """Write the file and its entry in each folder to the disk: the database, which is durable,
        forgets the parts of an upload once it has a row for the file.
        """
        path, root = Path(self.path(name)), Path(self.location)
        for place in (path, *path.parents):
            descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if place == root:
                break

    def delete(self, name: str) -> None:
        with raising_files_unavailable(OSError):
            super().delete(name)

    def remove_folder(self, name: str) -> list[str]:
        """Remove the folder. Directories inside come from elsewhere and stay; of a link only the
        link itself goes.
        """
        path = self.path(name)
        try:
            descriptor = os.open(path, FOLDER)
        except FileNotFoundError:
            return []
        except OSError as error:
            return [str(error.strerror)]
        try:
            problems = list(_remove_files(descriptor))
        finally:
            os.close(descriptor)
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return []
        except OSError as error:
            return problems or [str(error.strerror)]
        return []

    def folders(self, name: str) -> Iterator[str]:
        try:
            entries = os.scandir(self.path(name))
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                yield entry.name

    def files(self, name: str) -> Iterator[StoredFile]:
        for folder in self.folders(name):
            try:
                descriptor = os.open(self.path(f"{name}/{folder}"), FOLDER)
            except OSError:  # no folder, or removed meanwhile
                continue
            try:
                with os.scandir(descriptor) as entries:
                    for entry in entries:
                        with suppress(FileNotFoundError):  # removed meanwhile
                            found = entry.stat(follow_symlinks=False)
                            if stat.S_ISREG(found.st_mode):
                                changed_at = datetime.fromtimestamp(found.st_mtime, UTC)
                                yield StoredFile(f"{name}/{folder}/{entry.name}", changed_at)
            finally:
                os.close(descriptor)

    def problem(self) -> str:
        """Why the folder cannot be written to; before the first file, its parent must be
        writable.
        """
        place = self._nearest()
        if not os.path.isdir(place):
            return f"{place} is not a folder."
        if not os.access(place, os.W_OK | os.X_OK):
            return f"The folder {place} cannot be written by this account."
        return ""

    def root_problem(self) -> str:
        if os.name != "posix" or os.geteuid() != ROOT:
            return ""
        place = self._nearest()
        owner = os.stat(place).st_uid
        if owner == ROOT:
            return ""
        account = _account(owner)
        return (
            f"The folder {place} belongs to {account}, which could not change what root writes "
            f"there. Run this command as {account}."
        )

    def _nearest(self) -> str:
        """The folder of files, or its nearest existing ancestor."""
        place = os.path.abspath(self.location)
        while not os.path.lexists(place):
            place = os.path.dirname(place)
        return place

    def _remove_begun(self, name: str) -> None:
        try:
            os.unlink(self.path(name))
        except OSError:
            return


def _account(number: int) -> str:
    """The name of the system account, or its number where the machine has no name for it."""
    import pwd  # not on Windows

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"the account {number}"


def _remove_files(folder: int) -> Iterator[str]:
    """Delete the files but not the directories in the folder; yield a message for each that
    stays.
    """
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
