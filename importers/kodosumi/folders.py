"""Walking the folders of a kodosumi deployment without following links or changing anything.

Anyone who runs a flow there can write into its folder, so nothing in it is trusted: each step down
uses a descriptor of the parent folder, opened with O_NOFOLLOW and checked by fstat.
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from core.text import normalized

DATABASES = ("sqlite3.db", "db.sqlite")
"""The second is the name in older versions."""
AREAS = ("in", "out")
FID = re.compile(r"[0-9A-Za-z_-]{1,64}")
OBJECT_ID = re.compile(r"[0-9a-f]{24}")
OTHER_USERS = UUID("5b1f4c0e-1c7b-5d0a-9a70-0d5f3b6a2c11")
"""The namespace for the user ids of folders that are not named by a UUID."""
MAX_DEPTH = 32
MAX_FILES = 10_000
MAX_PATH_LENGTH = 1024
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

ReportProblem = Callable[[str, str], None]
"""A callback that takes the path, relative to the data folder, and the problem."""
Stamp = tuple[int, int, int]
"""Inode, size and modification time in nanoseconds."""


class Unreadable(Exception):
    """Something cannot be imported; the message is half a sentence that follows its path."""


@dataclass(frozen=True)
class SourceFile:
    """A file in `in` or `out`. `parts` are the names as the file system stores them."""

    area: str
    parts: tuple[str, ...]
    size: int
    last_modified: float

    @property
    def path(self) -> str:
        return normalized(printable("/".join(self.parts)))


@dataclass(frozen=True)
class ExecutionFolder:
    """The folder `execution/{user}/{fid}`, identified by its last two names."""

    user: str
    fid: str

    def __str__(self) -> str:
        return f"execution/{self.user}/{self.fid}"

    @property
    def user_id(self) -> UUID:
        return user_id_of(self.user)

    @property
    def created(self) -> float | None:
        """The creation time encoded in an id of kodosumi's, in whole seconds."""
        return float(int(self.fid[:8], 16)) if OBJECT_ID.fullmatch(self.fid) else None


class DataFolder:
    """kodosumi's `./data` folder. Raises OSError if it has no folder `execution`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # These two belong to the operator and may be links to another disk.
            self._executions = os.open(
                "execution", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.root
            )
        except OSError:
            os.close(self.root)
            raise

    def close(self) -> None:
        os.close(self._executions)
        os.close(self.root)

    @contextmanager
    def open(self, folder: ExecutionFolder) -> Iterator[int]:
        """Open a descriptor of the execution's folder."""
        with (
            _folder(folder.user, inside=self._executions) as user,
            _folder(folder.fid, inside=user) as opened,
        ):
            yield opened

    def executions(self, warn: ReportProblem) -> Iterator[tuple[ExecutionFolder, int]]:
        """Yield every execution's folder with its modification time in nanoseconds, by user and
        fid.
        """
        for user, _ in _subfolders(self._executions, "execution", warn):
            path = f"execution/{user}"
            try:
                with _folder(user, inside=self._executions) as opened:
                    found = list(_subfolders(opened, path, warn))
            except (OSError, Unreadable) as error:
                warn(path, reason(error))
                continue
            for fid, changed in found:
                if FID.fullmatch(fid):
                    yield ExecutionFolder(user, fid), changed
                else:
                    warn(f"{path}/{fid}", "is not named as an execution is")


def user_id_of(name: str) -> UUID:
    """The user id that the folder's name spells, or a stable id derived from any other name."""
    try:
        return UUID(name)
    except ValueError:
        return uuid5(OTHER_USERS, printable(name))


def database_in(folder: int) -> str | None:
    """The name of the execution's database; None if there is none yet."""
    return next((name for name in DATABASES if stamp(folder, name)), None)


def is_deleted(folder: int) -> bool:
    """Whether its owner deleted the execution; kodosumi then renames the database."""
    return any(stamp(folder, f"{name}.archive") for name in DATABASES)


def stamp(folder: int, name: str) -> Stamp | None:
    """The file's stamp, which differs after every change; None if the file does not exist."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def opened_file(names: tuple[str, ...], *, inside: int) -> Iterator[int]:
    """Open a descriptor of a regular file, without following links on the way."""
    *folders, name = names
    with ExitStack() as stack:
        for folder in folders:
            inside = stack.enter_context(_folder(folder, inside=inside))
        # Check before opening: merely opening a device may have side effects.
        _require_regular(os.stat(name, dir_fd=inside, follow_symlinks=False))
        descriptor = os.open(name, READ, dir_fd=inside)
        stack.callback(os.close, descriptor)
        _require_regular(os.fstat(descriptor))
        yield descriptor


def files_in(folder: int, path: str, warn: ReportProblem) -> tuple[list[SourceFile], bool]:
    """The regular files in `in` and `out` with sub-folders, and whether the list is complete.

    `path` is the execution's path for `warn`.
    """
    found: dict[tuple[str, str], SourceFile] = {}
    missed: list[str] = []

    def note(where: str, what: str) -> None:
        missed.append(where)
        warn(where, what)

    for area in AREAS:
        if stamp(folder, area) is None:
            continue
        try:
            with _folder(area, inside=folder) as opened:
                for file in _walk(opened, area, (), f"{path}/{area}", note):
                    where = f"{path}/{area}/{'/'.join(file.parts)}"
                    if len(found) >= MAX_FILES:
                        note(path, f"holds more than {MAX_FILES:,} files; the rest was left out")
                        break
                    if len(file.path) > MAX_PATH_LENGTH:
                        note(where, f"has a path of more than {MAX_PATH_LENGTH} characters")
                    elif found.setdefault((area, file.path), file) is not file:
                        note(where, "has the same readable name as another file")
        except (OSError, Unreadable) as error:
            note(f"{path}/{area}", reason(error))
    return list(found.values()), not missed


def _walk(
    folder: int, area: str, parents: tuple[str, ...], path: str, warn: ReportProblem
) -> Iterator[SourceFile]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            here, parts = f"{path}/{entry.name}", (*parents, entry.name)
            try:
                if entry.is_dir(follow_symlinks=False):
                    if len(parts) >= MAX_DEPTH:
                        raise Unreadable(f"lies deeper than {MAX_DEPTH} folders")
                    with _folder(entry.name, inside=folder) as below:
                        yield from _walk(below, area, parts, here, warn)
                    continue
                found = entry.stat(follow_symlinks=False)
                _require_regular(found)
            except FileNotFoundError:
                continue  # It was removed in the meantime.
            except (OSError, Unreadable) as error:
                warn(here, reason(error))
            else:
                yield SourceFile(area, parts, found.st_size, found.st_mtime)


def _subfolders(folder: int, path: str, warn: ReportProblem) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            try:
                if entry.is_symlink():
                    raise Unreadable("is a symbolic link")
                if entry.is_dir(follow_symlinks=False):
                    yield entry.name, entry.stat(follow_symlinks=False).st_mtime_ns
            except FileNotFoundError:
                continue
            except (OSError, Unreadable) as error:
                warn(f"{path}/{entry.name}", reason(error))


@contextmanager
def _folder(name: str, *, inside: int) -> Iterator[int]:
    descriptor = os.open(name, READ | os.O_DIRECTORY, dir_fd=inside)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _require_regular(found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise Unreadable("is a symbolic link")
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable("is not a regular file")


def reason(error: Exception) -> str:
    """Half a sentence that describes an error of the file system."""
    if isinstance(error, OSError):
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            return "is not a real folder"
        return f"cannot be read: {error.strerror or type(error).__name__}"
    return str(error)


def printable(name: str) -> str:
    """A file name as text that PostgreSQL accepts."""
    return os.fsencode(name).decode(errors="replace")
