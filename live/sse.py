"""Server-sent events in the format of kodosumi's streams.

An event is `id`, `event` and `data: <seconds>:<payload>`, with CRLF line ends. The control events
`alive`, `close` and `eof` repeat the id of the event before them (0 at the beginning), so that a
client that reconnects continues there.
"""

import time
from collections.abc import Callable, Iterable

from executions.sanitizing import limited_time
from live.reading import LiveEvent

CONTENT_TYPE = "text/event-stream; charset=utf-8"
RECONNECT_DELAY_MS = 1000
MAIN = frozenset(
    ("meta", "inputs", "agent", "status", "error", "action", "result", "final", "lock", "lease")
)
STDIO = frozenset(("error", "stdout", "stderr", "debug", "upload"))

Payload = Callable[[str, str], str]
"""Maps an event's kind and message to its payload."""


def frame(number: int, name: str, data: str) -> str:
    """One server-sent event. Line ends in the data become further data lines, so that they
    cannot start another event.
    """
    lines = replace_line_ends(data, "\r\ndata: ")
    return f"id: {number}\r\nevent: {replace_line_ends(name, ' ')}\r\ndata: {lines}\r\n\r\n"


def replace_line_ends(text: str, new: str) -> str:
    """The text with `new` in place of its line ends. A message may have a million of them, for
    which this takes a tenth of a regular expression's time.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", new)


def frames(events: Iterable[LiveEvent], payload: Payload, seconds: float | None = None) -> bytes:
    """The events within so many seconds of processor time (by default as many as a message has);
    the messages after them are plain text.
    """
    with limited_time(seconds):  # one thread writes all streams of a process
        return "".join(
            frame(each.sequence, each.kind, f"{each.timestamp}:{payload(each.kind, each.message)}")
            for each in events
        ).encode()


def opening() -> bytes:
    """The start of the stream, sent at once so that the client sees the response.

    It sets the reconnection time. It is the first line of the first event, because some clients
    take a block without data for an event.
    """
    return f"retry: {RECONNECT_DELAY_MS}\r\n".encode()


def alive(position: int) -> bytes:
    return frame(position, "alive", f"{time.time()}:service alive").encode()


def closing(position: int, reason: str) -> bytes:
    """The end of the stream but not of the execution: the client may reconnect."""
    return frame(position, "close", f"{time.time()}:{reason}").encode()


def end(position: int) -> bytes:
    """The end of an ended execution's events. Its data has no time."""
    return frame(position, "eof", "end of stream").encode()
