"""Uploads in parts: in any order, with repetitions, across several processes.

The parts are kept in the database. The last one turns them into a file in the storage, named only
by ids, and a row that describes it.
"""

import tempfile
from dataclasses import dataclass

from django.conf import settings
from django.core.files.base import File
from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Length

from core.errors import DomainError, InvalidValue, NotFound
from core.ids import uuid7
from executions.actions import locked_for_report
from executions.file_counts import recount_files
from executions.file_names import name_of
from executions.file_storage import removing_saved_files_on_error, save_file
from executions.models import Execution, ExecutionFile, ExecutionHasEnded, Upload, UploadPart, now
from executions.quotas import FILE_BYTES, Amounts, require_room
from organizations.actors import Actor
from organizations.rights import rights_last

DEFAULT_PART, EXTRA_PARTS = 64 * 1024, 16
"""An upload may have as many parts of the first number of bytes as its size requires, plus a
few.
"""


class UploadNotFound(NotFound):
    code = "UPLOAD_NOT_FOUND"
    message = "The execution has no upload with this id."


class FileExists(DomainError):
    code = "FILE_EXISTS"
    message = "The execution has a file with this path."


class UploadExists(DomainError):
    """The path already has another upload; `details` name it."""

    code = "UPLOAD_EXISTS"
    message = "A file of another size was announced with this path. Cancel that upload first."


class FileQuotaExceeded(DomainError):
    code = "FILE_QUOTA_EXCEEDED"
    message = "The execution would have too many files, or they would be too large in total."


class PartConflict(DomainError):
    code = "PART_CONFLICT"
    message = "Other bytes have arrived for this range, or for a part of it."


class TooManyParts(DomainError):
    code = "TOO_MANY_PARTS"
    message = "The upload has too many parts. Send larger ones."


@dataclass(frozen=True)
class Arrived:
    """The progress of an upload. `missing` holds the first and last byte of each gap."""

    upload_id: str
    area: str
    path: str
    size: int
    received: int
    missing: list[tuple[int, int]]

    @property
    def is_complete(self) -> bool:
        return not self.missing


@removing_saved_files_on_error()
@rights_last
def start_upload(
    execution: Execution,
    *,
    actor: Actor,
    area: str,
    path: str,
    size: int,
    lease: int | None = None,
) -> tuple[Arrived, bool]:
    """Announce a file. Return its progress and whether it is new.

    It counts against the quotas from now on; an empty file is complete at once. `path` has passed
    validate_path. Repeating the announcement returns the same upload, or the file that it became.
    """
    execution = locked_for_report(execution, actor, lease)
    at = {
        "organization_id": execution.organization_id,
        "execution_id": execution.pk,
        "area": area,
        "path": path,
    }
    file = ExecutionFile.objects.filter(**at).first()
    if file is not None:
        if file.size != size:
            raise FileExists(size=[f"The file has {file.size} bytes."])
        return _complete(file), False
    _require_open(execution)
    found = Upload.objects.filter(**at).first()
    if found is not None:
        if found.size != size:
            problem = f"It was announced with {found.size} bytes."
            raise UploadExists(size=[problem], uploadId=str(found.pk))
        return _arrived(found), False
    _require_place(execution, size)
    require_room(actor.organization, Amounts(file_bytes=size + FILE_BYTES))
    upload = Upload.objects.create(**at, size=size)
    return _arrived(upload) if size else _assemble(execution, upload), True


@removing_saved_files_on_error()
@rights_last
def receive_part(
    execution: Execution,
    upload_id: str,
    *,
    actor: Actor,
    offset: int,
    total: int,
    content: bytes,
    lease: int | None = None,
) -> Arrived:
    """Store these bytes; the last missing ones complete the file. Repeating a part changes
    nothing.
    """
    _find(execution, upload_id)  # 404 for a missing upload precedes the permission check
    execution = locked_for_report(execution, actor, lease)
    upload = _find(execution, upload_id, uploads=Upload.objects.select_for_update())
    if total != upload.size or offset + len(content) > upload.size:
        raise InvalidValue.of("Content-Range", f"The file was announced with {upload.size} bytes.")
    if isinstance(upload, ExecutionFile):
        _require_same_bytes(upload, offset, content)
        return _complete(upload)
    _require_open(execution)
    if not _is_known(upload, offset, content):
        UploadPart.objects.create(
            organization_id=upload.organization_id, upload=upload, offset=offset, content=content
        )
    arrived = _arrived(upload)
    return _assemble(execution, upload) if arrived.is_complete else arrived


@rights_last
def cancel_upload(
    execution: Execution, upload_id: str, *, actor: Actor, lease: int | None = None
) -> None:
    """Discard an incomplete upload and its parts; FileExists once the file is complete."""
    _find(execution, upload_id)
    execution = locked_for_report(execution, actor, lease)
    upload = _find(execution, upload_id, uploads=Upload.objects.select_for_update())
    if isinstance(upload, ExecutionFile):
        raise FileExists(
            "The whole file has arrived. It can only be deleted together with its execution."
        )
    UploadPart.objects.filter(organization_id=upload.organization_id, upload=upload).delete()
    upload.delete()


def arrived(execution: Execution, upload_id: str) -> Arrived:
    """The progress of the upload; UploadNotFound when the execution has none with this id."""
    found = _find(execution, upload_id)
    return _complete(found) if isinstance(found, ExecutionFile) else _arrived(found)


def _find(
    execution: Execution, upload_id: str, *, uploads: QuerySet[Upload] | None = None
) -> Upload | ExecutionFile:
    """The upload, or the file that it became, which keeps its id.

    Whoever changes the upload passes locked `uploads`, because the nightly removal of abandoned
    ones does not lock the execution.
    """
    owned_by_execution = {
        "organization_id": execution.organization_id,
        "execution_id": execution.pk,
    }
    found = (Upload.objects.all() if uploads is None else uploads).filter(
        **owned_by_execution, pk=upload_id
    ).first() or ExecutionFile.objects.filter(**owned_by_execution, pk=upload_id).first()
    if found is None:
        raise UploadNotFound
    return found


def _require_open(execution: Execution) -> None:
    """Refuse uploads once the execution has ended."""
    if execution.has_ended:
        message = "The execution has ended; it accepts no more files."
        raise ExecutionHasEnded(message, status=execution.status)


def _require_same_bytes(file: ExecutionFile, offset: int, content: bytes) -> None:
    """Raise PartConflict when the file has other bytes at this offset."""
    with file.content.open() as opened:
        opened.seek(offset)
        if opened.read(len(content)) != content:
            raise PartConflict


def _spans(upload: Upload) -> list[tuple[int, int]]:
    """The offset and length of each part, in order."""
    parts = UploadPart.objects.filter(organization_id=upload.organization_id, upload=upload)
    return list(
        parts.order_by("offset").annotate(length=Length("content")).values_list("offset", "length")
    )


def _is_known(upload: Upload, offset: int, content: bytes) -> bool:
    """Whether exactly this part has arrived; PartConflict when other bytes overlap it."""
    spans = _spans(upload)
    end = offset + len(content)
    overlapping = [span for span in spans if span[0] < end and span[0] + span[1] > offset]
    if not overlapping:
        if len(spans) >= EXTRA_PARTS + upload.size // DEFAULT_PART:
            raise TooManyParts
        return False
    if overlapping != [(offset, len(content))]:
        raise PartConflict
    known = UploadPart.objects.get(
        organization_id=upload.organization_id, upload=upload, offset=offset
    )
    if bytes(known.content) != content:
        raise PartConflict
    return True


def _arrived(upload: Upload) -> Arrived:
    missing, reached, received = [], 0, 0
    for offset, length in [*_spans(upload), (upload.size, 0)]:
        if offset > reached:
            missing.append((reached, offset - 1))
        reached, received = offset + length, received + length
    return Arrived(str(upload.pk), upload.area, upload.path, upload.size, received, missing)


def _complete(file: ExecutionFile) -> Arrived:
    return Arrived(str(file.pk), file.area, file.path, file.size, file.size, [])


def _require_place(execution: Execution, size: int) -> None:
    """Raise FileQuotaExceeded when the execution has no room for a file of this size."""
    owned_by_execution = {
        "organization_id": execution.organization_id,
        "execution_id": execution.pk,
    }
    number, held = 1, size
    for model in (ExecutionFile, Upload):
        found = model._default_manager.filter(**owned_by_execution).aggregate(
            number=Count("id"), held=Sum("size", default=0)
        )
        number, held = number + found["number"], held + found["held"]
    if number > settings.EXECUTION_FILES_MAX_NUMBER or held > settings.EXECUTION_FILES_MAX_BYTES:
        raise FileQuotaExceeded(
            maximumNumber=settings.EXECUTION_FILES_MAX_NUMBER,
            maximumBytes=settings.EXECUTION_FILES_MAX_BYTES,
        )


def _assemble(execution: Execution, upload: Upload) -> Arrived:
    """Assemble the parts into a file, in the storage and in the database."""
    if ExecutionFile.objects.filter(
        organization_id=upload.organization_id,
        execution=execution,
        area=upload.area,
        path=upload.path,
    ).exists():
        raise FileExists
    parts = UploadPart.objects.filter(organization_id=upload.organization_id, upload=upload)
    with tempfile.TemporaryFile() as assembled:
        for (offset,) in parts.order_by("offset").values_list("offset"):
            assembled.write(parts.get(offset=offset).content)
        assembled.seek(0)
        name = save_file(
            # Another id for each attempt: one that fails late removes its own file only.
            name_of(execution.organization_id, execution.pk, uuid7()),
            File(assembled),
        )
    file = ExecutionFile.objects.create(
        id=upload.pk,
        organization_id=upload.organization_id,
        execution=execution,
        area=upload.area,
        path=upload.path,
        size=upload.size,
        last_modified=now(),
        content=name,
    )
    parts.delete()
    upload.delete()
    recount_files(execution)
    return _complete(file)
