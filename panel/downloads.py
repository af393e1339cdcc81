"""Stored files as responses that a browser saves and never opens (RFC 9110, RFC 6266)."""

import re
from collections.abc import Generator
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date

from core.days import MAX_TIMESTAMP
from core.errors import DomainError, NotFound, error_body
from core.fast_path.responses import LongResponse
from core.long_responses import PIECE
from executions.models import ExecutionFile

RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.ASCII)
NOT_IN_HEADERS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
HEADERS = {
    "Content-Type": "application/octet-stream",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
}


class FileNotFound(NotFound):
    code = "FILE_NOT_FOUND"
    message = "The execution has no file with this path."


class PreconditionFailed(DomainError):
    code = "PRECONDITION_FAILED"
    status = HTTPStatus.PRECONDITION_FAILED
    message = "The file is not the one that the request's condition names."


@dataclass(frozen=True)
class Part:
    """The bytes at or after `start` and before `end`."""

    start: int
    end: int


class Unsatisfiable(Exception):
    """The range lies outside the file."""


def download(request: HttpRequest, file: ExecutionFile, *, caller: UUID | None) -> HttpResponseBase:
    """Respond with the file, or with the single range of it that the request asks for.

    The content never changes, so the file's id is its entity tag.
    """
    etag = f'"{file.pk}"'
    modified = int(min(max(file.last_modified, 0), MAX_TIMESTAMP))
    headers = HEADERS | {
        "ETag": etag,
        "Last-Modified": http_date(modified),
        "Content-Disposition": disposition(file.name),
    }
    conditional = get_conditional_response(request, etag, modified)
    if conditional is not None and conditional.status_code == HTTPStatus.PRECONDITION_FAILED:
        raise PreconditionFailed
    if conditional is not None:
        return HttpResponse(status=conditional.status_code, headers=headers)
    try:
        part = _requested_part(request, file.size, headers)
    except Unsatisfiable:
        body = error_body("RANGE_NOT_SATISFIABLE", f"The file has {file.size} bytes.")
        return JsonResponse(body, status=416, headers={"Content-Range": f"bytes */{file.size}"})
    sent = part or Part(0, file.size)
    headers["Content-Length"] = str(sent.end - sent.start)
    if part:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{file.size}"
    is_head = request.method == "HEAD"
    pieces = _pieces(file, Part(0, 0) if is_head else sent)
    try:
        next(pieces)  # Opens the file and reads from it, so that an outage can still be answered.
    except FileNotFoundError:
        raise FileNotFound from None
    if is_head:
        pieces.close()
        return HttpResponse(headers=headers)
    return LongResponse(pieces, caller=caller, status=206 if part else 200, headers=headers)


def _pieces(file: ExecutionFile, part: Part) -> Generator[bytes]:
    """Yield the part of the file after one empty piece.

    Raises FileNotFoundError or FilesUnavailable instead of the empty piece when the storage does
    not have the file, or does not give its beginning.
    """
    with file.content.storage.open(str(file.content.name), "rb") as content:
        content.seek(part.start)
        missing = part.end - part.start
        piece = content.read(min(missing, PIECE))
        yield b""
        while piece:
            missing -= len(piece)
            yield piece
            piece = content.read(min(missing, PIECE))


def disposition(name: str) -> str:
    """The Content-Disposition header with the file's own name, without characters that a header
    cannot carry.
    """
    name = NOT_IN_HEADERS.sub("_", name)
    if "=?" in name:  # some browsers decode it in a plain name (RFC 2047), but not in this form
        return f"attachment; filename*=utf-8''{quote(name)}"
    return content_disposition_header(True, name) or "attachment"


def _requested_part(request: HttpRequest, size: int, headers: dict[str, str]) -> Part | None:
    """The single range of the request; None, for the whole file, if there is none, more than
    one, or an invalid one.
    """
    match = RANGE.fullmatch(request.headers.get("Range", ""))
    condition = request.headers.get("If-Range", "").strip()
    is_same = condition in {"", headers["ETag"], headers["Last-Modified"]}
    if request.method != "GET" or match is None or not is_same:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:  # a suffix range
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise Unsatisfiable
    return Part(start, end)
