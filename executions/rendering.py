"""The output of executions as HTML that is safe to show.

Anybody may have influenced an agent's output. Its size and nesting are limited before anything
parses it, and nh3 sanitizes the result with a short list of tags. A sandboxed frame with its own
policy is an independent second wall (pages/executions/output.py).
"""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, TypeVar

import structlog
import yaml
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from executions.ansi import ansi_as_html
from executions.json_text import grows_too_long, indented, is_too_deep
from executions.markdown import render_markdown
from executions.models import ExecutionEvent
from executions.sanitizing import (
    MAX_TAGS,
    TOO_COMPLEX,
    is_out_of_time,
    is_too_large,
    limited_time,
    plain_text,
    sanitized,
)

FAST_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
FASTER_FROM = 16 * 1024
"""From this length on inputs are dumped with libyaml, which is fast but escapes emoji as
numbers.
"""
MAX_YAML_DEPTH = 20
"""From 40 levels on YAML writes each word of a text on an indented line of its own."""
Kind = ExecutionEvent.Kind
Shown = TypeVar("Shown", bound=str)
logger = structlog.get_logger(__name__)


def render_event(kind: str, message: str) -> SafeString:
    """Render an event's message.

    `action`, `result` and `final` become blocks of HTML; inputs become YAML and all other kinds
    stay as they were written, as text for a `<pre>`.
    """
    if kind in {Kind.ACTION, Kind.RESULT, Kind.FINAL}:
        return render_result(message)
    if kind == Kind.INPUTS:
        return _text(inputs_as_yaml(message))
    return _text(message)


def render_result(final_json: str | None) -> SafeString:
    """Render a tagged value, given as JSON text."""
    if not final_json:
        return SafeString("")
    if is_out_of_time():
        return _preformatted(final_json)
    if is_too_large(final_json) or is_too_deep(final_json):
        return TOO_COMPLEX
    with limited_time():
        return unless_it_fails(_html_of_json, final_json, otherwise=_preformatted)


def inputs_as_yaml(message: str) -> str:
    """Inputs in JSON, with or without a type tag, as YAML; text that is not JSON stays
    unchanged, and so does what is nested so deeply that it would become many times as long.
    """
    if is_out_of_time() or is_too_large(message) or is_too_deep(message, MAX_YAML_DEPTH):
        return message
    if grows_too_long(message):
        return message
    return unless_it_fails(_yaml_of_json, message, otherwise=str)


def ansi_or_plain(message: str) -> SafeString:
    """Terminal output with its colours, or as plain text when there is no time left."""
    if is_out_of_time():
        return _text(message)
    return unless_it_fails(ansi_as_html, message, otherwise=_text)


def unless_it_fails(
    render: Callable[[str], Shown], message: str, *, otherwise: Callable[[str], Shown]
) -> Shown:
    """What `render` makes of the message. If it raises an error, which is logged, what `otherwise`
    makes of it: an odd message must not hide the others of its page or stream.
    """
    try:
        return render(message)
    except Exception:
        logger.exception("message_not_rendered")
        return otherwise(message)


def _html_of_json(text: str) -> SafeString:
    try:
        value = _parsed(text)
    except (ValueError, RecursionError):
        return _preformatted(text)
    html = _render_tagged(value)
    return TOO_COMPLEX if html.count("<") > 2 * MAX_TAGS else html


def _yaml_of_json(message: str) -> str:
    try:
        value = _parsed(message)
    except (ValueError, RecursionError):
        return message
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("dict"), dict):
        value = value["dict"]
    return yaml.dump(
        value,
        Dumper=yaml.SafeDumper if len(message) < FASTER_FROM else FAST_DUMPER,
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=False,
    )


def _render_tagged(value: Any) -> SafeString:
    if not isinstance(value, dict) or len(value) != 1:
        return _preformatted(value)
    [(tag, content)] = value.items()
    if tag == "__list__" and isinstance(content, list):
        return _joined(_in_time(_render_tagged, content))
    layout = LAYOUTS.get(tag)
    if layout is not None and isinstance(content, dict):
        return layout(content)
    return _joined((_heading(tag), _preformatted(content)))


def _body(content: dict[str, Any]) -> str:
    body = content.get("body")
    return body if isinstance(body, str) else indented(body)


def _markdown(content: dict[str, Any]) -> SafeString:
    return render_markdown(_body(content))


def _html(content: dict[str, Any]) -> SafeString:
    return sanitized(_body(content))


def _plain(content: dict[str, Any]) -> SafeString:
    return _preformatted(_body(content))


def _link(content: dict[str, Any]) -> SafeString:
    """Links, images and videos are rendered as links: nothing foreign is loaded automatically."""
    url = str(content.get("url") or "")
    label = str(content.get("title") or content.get("alt") or url)
    return sanitized(format_html('<p><a href="{}">{}</a></p>', url, label))


def _crew(content: dict[str, Any]) -> SafeString:
    """CrewAI's CrewOutput: the answer, followed by the output of each task."""
    tasks = content.get("tasks_output")
    tasks = tasks if isinstance(tasks, list) else []
    steps = _in_time(_task, (task for task in tasks if isinstance(task, dict)))
    usage = content.get("token_usage")
    tokens = [_heading("Tokens"), _preformatted(usage)] if usage else []
    return _joined(chain([_raw(content)], steps, tokens))


def _task(content: dict[str, Any]) -> SafeString:
    """CrewAI's TaskOutput."""
    title = content.get("name") or "Task"
    facts = _facts(content, {"agent": "Agent", "description": "Task"})
    return _joined((_heading(str(title)), facts, _raw(content)))


def _agent_step(content: dict[str, Any]) -> SafeString:
    """CrewAI's AgentAction, AgentFinish and ToolResult: thought, action and result."""
    names = {
        "thought": "Thought",
        "tool": "Tool",
        "tool_input": "Input",
        "text": "Text",
        "result": "Result",
        "output": "Output",
    }
    return _facts(content, names)


def _raw(content: dict[str, Any]) -> SafeString:
    raw = content.get("raw")
    return render_markdown(raw) if isinstance(raw, str) else _preformatted(raw)


def _facts(content: dict[str, Any], names: dict[str, str]) -> SafeString:
    """The named fields that have a value, one below the other."""
    rows = [
        (label, plain_text(value if isinstance(value, str) else indented(value)))
        for name, label in names.items()
        if (value := content.get(name)) not in (None, "")
    ]
    lines = format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows)
    return format_html("<dl>{}</dl>", lines) if rows else SafeString("")


LAYOUTS: dict[str, Callable[[dict[str, Any]], SafeString]] = {
    "Markdown": _markdown,
    "HTML": _html,
    "Text": _plain,
    "Link": _link,
    "Image": _link,
    "Video": _link,
    "CrewOutput": _crew,
    "TaskOutput": _task,
    "AgentAction": _agent_step,
    "AgentFinish": _agent_step,
    "ToolResult": _agent_step,
}


def _heading(text: str) -> SafeString:
    return format_html("<h3>{}</h3>", plain_text(text))


def _preformatted(value: Any) -> SafeString:
    return format_html(
        "<pre>{}</pre>", plain_text(value if isinstance(value, str) else indented(value))
    )


def _text(message: str) -> SafeString:
    return format_html("{}", plain_text(message))


def _in_time(render: Callable[[Any], SafeString], items: Iterable[Any]) -> Iterator[SafeString]:
    """Each item rendered, until the time is over: tens of thousands of empty ones take seconds."""
    for item in items:
        if is_out_of_time():
            yield TOO_COMPLEX
            return
        yield render(item)


def _joined(parts: Any) -> SafeString:
    return format_html_join("\n", "{}", ((part,) for part in parts))


def _parsed(text: str) -> Any:
    """The JSON value, with unpaired surrogates, which cannot be encoded, replaced by `?`."""
    value = json.loads(text)
    if r"\ud" in text.lower():
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value
