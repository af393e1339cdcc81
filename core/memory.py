"""Memory that requests took comes back.

Django's and REST framework's objects refer to each other in circles, so that a request's body and
what was made of it stay until Python's garbage collector comes by. It counts objects, not bytes:
a hundred large bodies are few objects to it, and would lie about for long.
"""

import ctypes
import gc
from typing import Any

from django.core.signals import request_started

BYTES_BETWEEN_COLLECTIONS = 8 * 1024 * 1024
"""To collect takes a few milliseconds, since what was loaded at the start is left out."""
BYTES_OF_A_BODYS_BYTE = 4
"""As received, as bytes, as text, and what was made of it."""
BYTES_OF_A_HEADERS_BYTE = 10
"""A dictionary of each request's cookies and parameters, made of short texts."""
BYTES_OF_A_VALUE = 200
"""Of one in JSON, however short it is written."""
MAX_LENGTH_DIGITS = 18
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # <malloc.h>
LARGE = 256 * 1024
ARENAS = 2

C_LIBRARY = ctypes.CDLL(None)
malloc_trim = getattr(C_LIBRARY, "malloc_trim", None)  # glibc's alone: gives back what is free

_taken = 0


def collect_in_time() -> None:
    """Call it when the process has started: from then on, what comes in decides when to collect."""
    # What is loaded by now stays for ever: the garbage collector need not look through it again and
    # again, which held up a request for an eighth of a second every time. Answers make many objects
    # and few cycles, so it may look less often at the young ones, too.
    gc.collect()
    gc.freeze()
    gc.collect()  # it waits until a quarter is new: of what is left, not of what is frozen
    gc.set_threshold(20_000, 10, 5)
    request_started.connect(_request_started, dispatch_uid="core.memory")
    _keep_few_heaps()


def count_values(values: int) -> None:
    """A body is about to become so many objects."""
    count_bytes(BYTES_OF_A_VALUE * values)


def count_bytes(number: int) -> None:
    """Count memory that was, or is about to be, used briefly: after enough of it, collect."""
    global _taken
    _taken += number


def give_back() -> None:
    """Collect garbage and give its memory back to the system; takes a few milliseconds."""
    global _taken
    _taken = 0
    gc.collect()
    if malloc_trim is not None:
        malloc_trim(0)


def _request_started(sender: Any, environ: dict[str, Any], **kwargs: Any) -> None:
    collect_when_due(environ)


def collect_when_due(environ: dict[str, Any]) -> None:
    """At a request's start, when the objects of the requests before are garbage, not at an end."""
    global _taken
    if _taken >= BYTES_BETWEEN_COLLECTIONS:
        give_back()
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdigit() and len(length) <= MAX_LENGTH_DIGITS:
        _taken += BYTES_OF_A_BODYS_BYTE * int(length)
    heads = sum(len(value) for value in environ.values() if isinstance(value, str))
    _taken += BYTES_OF_A_HEADERS_BYTE * heads


def _keep_few_heaps() -> None:
    """glibc gives each thread a heap of its own, and of each keeps what was once needed at its
    end: with two for all threads half as much. What is large comes from the system and goes back at
    once, instead of leaving holes in a heap. Other C libraries do without."""
    mallopt = getattr(C_LIBRARY, "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)
        mallopt(M_MMAP_THRESHOLD, LARGE)
