"""The payloads of a stream for each kind of event."""

from collections.abc import Callable

from executions.errors import read_error
from executions.log_lines import short_line
from executions.models import ExecutionEvent
from executions.rendering import ansi_or_plain, inputs_as_yaml, render_event

Kind = ExecutionEvent.Kind


def rendered(kind: str, message: str) -> str:
    """The payload of a rendered stream.

    Inputs become YAML text; terminal output, actions and results become sanitized HTML; everything
    else, including text and JSON that cannot be mistaken for HTML, stays unchanged. Without
    processor time left, HTML is the escaped message.
    """
    if kind == Kind.INPUTS:
        return inputs_as_yaml(message)
    if kind in {Kind.STDOUT, Kind.STDERR}:
        return ansi_or_plain(message)
    if kind in {Kind.ACTION, Kind.RESULT, Kind.FINAL}:
        return render_event(kind, message)
    return message


def raw(kind: str, message: str) -> str:
    """The message as it was emitted."""
    return message


def plain(kind: str, message: str) -> str:
    """The message as a line of the log's page."""
    return short_line(kind, message, shows_traces=True)


def _without_traces(payload: Callable[[str, str], str]) -> Callable[[str, str], str]:
    """The same payload, but with errors reduced to their message for everyone."""

    def shown(kind: str, message: str) -> str:
        return payload(kind, read_error(message).message if kind == Kind.ERROR else message)

    return shown


WITHOUT_TRACES: dict[Callable[[str, str], str], Callable[[str, str], str]] = {
    each: _without_traces(each) for each in (raw, rendered, plain)
}
"""Payloads for those who are not operators: a trace may contain paths and secrets."""
