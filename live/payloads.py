"""What a rendered stream carries for each kind of event."""

from collections.abc import Callable

from executions.ansi import ansi_as_html
from executions.errors import read_error
from executions.log_lines import short_line
from executions.models import ExecutionEvent
from executions.rendering import inputs_as_yaml, render_event

Kind = ExecutionEvent.Kind


def rendered(kind: str, message: str) -> str:
    """Inputs as YAML text; the terminal's output, actions, results and the final result as
    harmless HTML; everything else, also text and JSON that nobody may take for HTML, unchanged."""
    if kind == Kind.INPUTS:
        return inputs_as_yaml(message)
    if kind in {Kind.STDOUT, Kind.STDERR}:
        return ansi_as_html(message)
    if kind in {Kind.ACTION, Kind.RESULT, Kind.FINAL}:
        return render_event(kind, message)
    return message


def raw(kind: str, message: str) -> str:
    """As it was emitted."""
    return message


def plain(kind: str, message: str) -> str:
    """As a line of the log's page."""
    return short_line(kind, message, shows_traces=True)


def _without_traces(payload: Callable[[str, str], str]) -> Callable[[str, str], str]:
    """The same, but of an error only what a person is meant to read."""

    def shown(kind: str, message: str) -> str:
        return payload(kind, read_error(message).message if kind == Kind.ERROR else message)

    return shown


WITHOUT_TRACES: dict[Callable[[str, str], str], Callable[[str, str], str]] = {
    each: _without_traces(each) for each in (raw, rendered, plain)
}
"""What those see who are not operators: a trace may name paths and secrets."""
