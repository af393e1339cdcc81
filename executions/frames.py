"""The place in an agent's own code at which an error arose, from a Python traceback.

It shows files and code, so it is for those who may read traces.
"""

import re
from dataclasses import dataclass

from executions.errors import FRAME, innermost_own
from executions.sanitizing import plain_text

MAX_CODE_LENGTH = 2_000
UNDERLINE = re.compile(r"[\s|~^]*")
"""What Python draws below the part of a line that failed."""


@dataclass(frozen=True)
class OwnFrame:
    """The innermost frame outside libraries, and its place among all frames."""

    file: str
    line: int
    function: str
    code: str
    """The source line; empty if the traceback does not hold it."""
    number: int
    total: int


def own_frame(trace: str) -> OwnFrame | None:
    """The agent's own innermost frame; None if the text has no frames, or only of libraries."""
    frames = list(FRAME.finditer(trace))
    place = innermost_own(frames)
    if place is None:
        return None
    file, line, function = frames[place].groups()
    start = frames[place].end()
    end = frames[place + 1].start() if place + 1 < len(frames) else len(trace)
    code = _code(trace[start : min(end, start + MAX_CODE_LENGTH)])
    shown = plain_text(file), int(line[:9]), plain_text(function), plain_text(code)
    return OwnFrame(*shown, place + 1, len(frames))


def _code(after: str) -> str:
    """The line below the frame; it is indented, unlike the exception."""
    _, _, rest = after.partition("\n")
    line = rest.partition("\n")[0]
    is_code = line.startswith((" ", "\t", "|", "+")) and not UNDERLINE.fullmatch(line)
    return line.lstrip(" \t|+-") if is_code else ""
