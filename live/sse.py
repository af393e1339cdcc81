"""Events as kodosumi's streams write them, over server-sent events.

An event is `id`, `event` and `data: <seconds>:<payload>`, with CRLF line ends. The control events
`alive`, `close` and `eof` carry the id of the event before them (0 at the beginning), so that a
client which connects again continues there.
"""

import re
import time
from collections.abc import Callable, Iterable

from executions.sanitizing import limited_time
from live.reading import LiveEvent

CONTENT_TYPE = "text/event-stream; charset=utf-8"
MILLISECONDS_TO_RECONNECT = 1000
LINE_END = re.compile(r"\r\n|\r|\n")
MAIN = frozenset(
    ("meta", "inputs", "agent", "status", "error", "action", "result", "final", "lock", "lease")
)
STDIO = frozenset(("error", "stdout", "stderr", "debug", "upload"))

Payload = Callable[[str, str], str]
"""From kind and message to what stands in the data."""


def frame(number: int, name: str, data: str) -> str:
    """One event. Line ends inside cannot begin another one: they become further data lines."""
    lines = "".join(f"data: {line}\r\n" for line in LINE_END.split(data))
    return f"id: {number}\r\nevent: {LINE_END.sub(' ', name)}\r\n{lines}\r\n"


def frames(events: Iterable[LiveEvent], payload: Payload) -> bytes:
    with limited_time():  # all streams of a process are written by one thread
        return "".join(
            frame(each.sequence, each.kind, f"{each.timestamp}:{payload(each.kind, each.message)}")
            for each in events
        ).encode()


def opening() -> bytes:
    """Sent at once, so that the client sees the answer; it also says when to connect again.

    It is the first line of the first event: some clients take it for an event when it stands alone.
    """
    return f"retry: {MILLISECONDS_TO_RECONNECT}\r\n".encode()


def alive(position: int) -> bytes:
    return frame(position, "alive", f"{time.time()}:service alive").encode()


def closing(position: int, reason: str) -> bytes:
    """The stream ends, but not the execution: the client may connect again."""
    return frame(position, "close", f"{time.time()}:{reason}").encode()


def end(position: int) -> bytes:
    """All events of an execution that has ended were sent. No time stands before it."""
    return frame(position, "eof", "end of stream").encode()
