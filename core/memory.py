"""Frees the memory of earlier requests in time.

Objects of Django and REST framework refer to each other in cycles, so a request's body, its
response and whatever was made of them stay until Python's garbage collector runs. The collector
counts objects, not bytes: a hundred large bodies or responses are few objects to it, and would stay
for long.
"""

import ctypes
import gc
from typing import Any

from django.core.signals import request_started

BYTES_BETWEEN_COLLECTIONS = 8 * 1024 * 1024
"""A collection takes milliseconds, because collect_in_time() freezes what is loaded at startup."""
MEMORY_PER_BODY_BYTE = 4
"""Bytes of memory per byte of a body: as received, as bytes, as text, and parsed."""
MEMORY_PER_HEADER_BYTE = 10
"""Bytes of memory per byte of a header: cookies and parameters become many short strings."""
MEMORY_PER_RESPONSE_BYTE = 4
"""Bytes of memory per byte of a response: itself, and the rows and objects that it was made of."""
MEMORY_PER_VALUE = 200
"""Bytes of memory per JSON value, however short its text is."""
MAX_LENGTH_DIGITS = 18
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # <malloc.h>
LARGE = 256 * 1024
ARENAS = 2

C_LIBRARY = ctypes.CDLL(None)
# Only glibc has it: returns free memory to the system.
malloc_trim = getattr(C_LIBRARY, "malloc_trim", None)

_taken = 0


def collect_in_time() -> None:
    """Call this once the process has started.

    From then on, the size of requests and responses triggers collections.
    """
    # Whatever is loaded by now stays forever, so the garbage collector need not traverse it, which
    # delayed a request by an eighth of a second every time. Responses create many objects but few
    # cycles, so it may look at young objects less often, too.
    gc.collect()
    gc.freeze()
    gc.collect()  # so that the next full collection waits for a quarter more objects
    gc.set_threshold(20_000, 10, 5)
    request_started.connect(_request_started, dispatch_uid="core.memory")
    _limit_heaps()


def count_values(values: int) -> None:
    """Count JSON values that are about to become objects."""
    count_bytes(MEMORY_PER_VALUE * values)


def count_bytes(number: int) -> None:
    """Count memory that is used briefly; a collection follows once it adds up."""
    global _taken
    _taken += number


def count_response(length: int) -> None:
    """Count what a response of so many bytes leaves behind."""
    count_bytes(MEMORY_PER_RESPONSE_BYTE * length)


def give_back() -> None:
    """Collect garbage and return its memory to the system. Takes a few milliseconds."""
    global _taken
    _taken = 0
    gc.collect()
    if malloc_trim is not None:
        malloc_trim(0)


def _request_started(sender: Any, environ: dict[str, Any], **kwargs: Any) -> None:
    collect_when_due(environ)


def collect_when_due(environ: dict[str, Any]) -> None:
    """Collect when enough memory was counted.

    Called at the start of a request, when the objects of earlier requests are garbage.
    """
    global _taken
    if _taken >= BYTES_BETWEEN_COLLECTIONS:
        give_back()
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdigit() and len(length) <= MAX_LENGTH_DIGITS:
        _taken += MEMORY_PER_BODY_BYTE * int(length)
    heads = sum([len(value) for value in environ.values() if value.__class__ is str])  # fast
    _taken += MEMORY_PER_HEADER_BYTE * heads


def _limit_heaps() -> None:
    """Limit the number of glibc's heaps, and allocate large blocks directly from the system.

    glibc gives each thread a heap of its own and keeps what that once needed at its peak; two heaps
    for all threads need half as much. Large blocks are returned at once instead of leaving holes in
    a heap. Other C libraries have no mallopt().
    """
    mallopt = getattr(C_LIBRARY, "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)
        mallopt(M_MMAP_THRESHOLD, LARGE)
