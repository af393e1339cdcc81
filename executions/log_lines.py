"""The lines of an execution's log as text.

The log's page, the stream that continues it and the download all use these functions.
"""

from executions.ansi import last_states
from executions.errors import read_error
from executions.long_words import with_breaks
from executions.models import ExecutionEvent
from executions.sanitizing import is_out_of_time, unbroken_text

Kind = ExecutionEvent.Kind
PRINTED = (Kind.STDOUT, Kind.STDERR)
LOG = (*PRINTED, Kind.DEBUG, Kind.UPLOAD, Kind.ERROR)
MAX_LINE_LENGTH = 4_000
CUT = " …"


def whole_line(kind: str, message: str, *, shows_traces: bool) -> str:
    """A line of the log without terminal codes and overwritten text.

    An error is reduced to its message for everyone, unless `shows_traces`.
    """
    if kind == Kind.ERROR and not shows_traces:
        message = read_error(message).message
    if kind in PRINTED and not is_out_of_time():
        message = last_states(message)
    return unbroken_text(message)


def short_line(kind: str, message: str, *, shows_traces: bool) -> str:
    """`whole_line` of the first MAX_LINE_LENGTH characters, with breaks in very long words.

    Pass errors unshortened: the part that everyone may see is at the end.
    """
    if kind == Kind.ERROR and not shows_traces:
        message = read_error(message).message
    shown = whole_line(kind, message[:MAX_LINE_LENGTH], shows_traces=True)
    shown = with_breaks(shown)
    return shown + CUT if len(message) > MAX_LINE_LENGTH else shown
