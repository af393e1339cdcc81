"""What executions say, as HTML that cannot harm who reads it.

An agent's output may be written by anybody. It passes caps on size and nesting before anything
parses it, and nh3 with a narrow list of tags afterwards; a sandboxed frame with a policy of its own
is a second wall that does not rely on this one (views/output.py).
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from textwrap import dedent
from typing import Any

import nh3
import yaml
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from core.parsers import measure_json
from executions.models import ExecutionEvent

MAX_BYTES = 256 * 1024
"""Bytes of one message that are made readable; beyond that it can be downloaded only."""
MAX_DEPTH = 100
"""Levels of nesting, of elements or of JSON."""
MAX_FORMATTING_DEPTH = 16
MAX_TAGS = 20_000
"""Of one piece of HTML; and elements of all that one message becomes."""
MAX_ATTRIBUTES = 40
MAX_MARKS = 30_000
"""Characters that mean something in Markdown: its parsers need long for very many in a row."""
MAX_LINES = 10_000
"""Of Markdown: each may become a block, and they need long for very many of these as well."""
MAX_CELLS = 10_000
"""Of all tables of one piece of Markdown. A short row is filled up to the width of its header, so
that few characters could become very many cells."""
SECONDS = 1.0
"""Of the processor, for all pieces of one message; one that has begun is still finished."""
TOO_COMPLEX = mark_safe(
    '<p class="output-note">This output is too complex to be shown here. '
    "Download it to read it.</p>"
)
CUT = "\n… (cut here: download it to read the rest)"

TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "caption", "code", "dd", "del", "details", "div"),
    *("dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "ins", "kbd", "li", "mark"),
    *("ol", "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub", "summary", "sup"),
    *("table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul", "var"),
}
ATTRIBUTES: dict[str, set[str]] = {
    "*": set(),  # nh3 alone would allow `title` and `lang` everywhere.
    "a": {"href"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
DROPPED_WITH_CONTENT = {"script", "style", "title", "noscript", "iframe", "template", "textarea"}
SCHEMES = {"https", "mailto"}
LINK_RELATION = "noopener noreferrer nofollow"

# Escape sequences of terminals (ECMA-48): CSI, then OSC and its like, then the two-byte ones.
ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
LINE_END = re.compile(r"\r\n?")
MARK = re.compile(r"[*_~`!|&\[\]]")
FAST_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
FASTER_FROM = 16 * 1024
"""From here on inputs are dumped by libyaml, which is fast but writes emoji as numbers."""
TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)([^>]*)")
ATTRIBUTE_END = re.compile(r"[\s/]+[^\s/]")
VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"}
)
CLOSED_BY_THE_NEXT = frozenset({"p", "li", "dt", "dd", "td", "th", "tr", "option"})
REOPENED = frozenset(
    {*("a", "b", "big", "code", "em", "font", "i", "nobr", "s"), *("small", "strike", "strong")}
    | {"tt", "u"}
)
"""A parser opens them anew in each following block, so that a few can become very many."""

Kind = ExecutionEvent.Kind

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def limited_time(seconds: float | None = None) -> Iterator[None]:
    """Meanwhile this thread makes output readable for so long only; what remains becomes the note
    that it is too complex. Within another limit that one counts."""
    if _deadline.get() is not None:
        yield
        return
    token = _deadline.set(time.thread_time() + (SECONDS if seconds is None else seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def _is_out_of_time() -> bool:
    deadline = _deadline.get()
    return deadline is not None and time.thread_time() > deadline


def render_event(kind: str, message: str) -> SafeString:
    """An event's message. `action`, `result` and `final` become blocks of HTML; every other kind
    is text for a `<pre>`: inputs as YAML, all others as they were written."""
    if kind in {Kind.ACTION, Kind.RESULT, Kind.FINAL}:
        return render_result(message)
    if kind == Kind.INPUTS:
        return _text(inputs_as_yaml(message))
    return _text(message)


def render_result(final_json: str | None) -> SafeString:
    """A value with its type tag, given as JSON text."""
    if not final_json:
        return SafeString("")
    if _is_too_large(final_json) or _is_too_deep(final_json):
        return TOO_COMPLEX
    try:
        value = _parsed(final_json)
    except (ValueError, RecursionError):
        return _preformatted(final_json)
    with limited_time():
        html = _render_tagged(value)
    return TOO_COMPLEX if html.count("<") > 2 * MAX_TAGS else html


def inputs_as_yaml(message: str) -> str:
    """Inputs, as JSON text with or without a type tag, as YAML; what is no JSON stays as it is."""
    if _is_too_large(message) or _is_too_deep(message):
        return message
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


def plain_text(text: str) -> str:
    """Without a terminal's escape sequences and control characters, and not beyond the cap."""
    shown = text[:MAX_BYTES]
    shown = ESCAPE_SEQUENCE.sub("", shown).replace("\r\n", "\n").replace("\r", "\n")
    shown = CONTROL.sub("\N{REPLACEMENT CHARACTER}", shown)
    return shown + CUT if len(text) > MAX_BYTES else shown


def sanitized(html: str) -> SafeString:
    """The harmless part of somebody's HTML, or the note that it is too complex."""
    return TOO_COMPLEX if _is_out_of_time() else _cleaned(html)


def _cleaned(html: str) -> SafeString:
    if _is_too_large(html) or _is_too_complex(html):
        return TOO_COMPLEX
    clean = nh3.clean(
        html,
        tags=TAGS,
        clean_content_tags=DROPPED_WITH_CONTENT,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        url_relative="deny",
        link_rel=LINK_RELATION,
    )
    return mark_safe(clean)  # noqa: S308 - this is the sanitiser


def _render_markdown(body: str) -> SafeString:
    if _is_out_of_time() or _is_too_large(body) or _is_too_complex(body):
        return TOO_COMPLEX
    body = LINE_END.sub("\n", body)
    if len(MARK.findall(body)) > MAX_MARKS or body.count("\n") > MAX_LINES:
        return TOO_COMPLEX
    if _cells(body) > MAX_CELLS:
        return TOO_COMPLEX
    return _cleaned(MARKDOWN.render(dedent(body)))


def _cells(body: str) -> int:
    """How many cells its tables have at most. A table ends at an empty line, and no row of it has
    more cells than its widest line."""
    cells = columns = 0
    for line in body.split("\n"):
        bars = line.count("|")
        if bars:
            columns = max(columns, bars + 1)
        elif not line.strip(" \t"):
            columns = 0
        cells += columns
    return cells


def _image_as_link(
    renderer: RendererHTML, tokens: Any, index: int, options: Any, environment: Any
) -> str:
    """An image would tell a foreign server who reads this; a link asks first."""
    token: Token = tokens[index]
    label = token.content or str(token.attrGet("src") or "")
    return str(format_html('<a href="{}">{}</a>', token.attrGet("src") or "", label))


MARKDOWN = MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(
    ["table", "strikethrough"]
)
MARKDOWN.add_render_rule("image", _image_as_link)


def _render_tagged(value: Any) -> SafeString:
    if not isinstance(value, dict) or len(value) != 1:
        return _preformatted(value)
    [(tag, content)] = value.items()
    if tag == "__list__" and isinstance(content, list):
        return _joined(_render_tagged(item) for item in content)
    layout = LAYOUTS.get(tag)
    if layout is not None and isinstance(content, dict):
        return layout(content)
    return _joined((_heading(tag), _preformatted(content)))


def _body(content: dict[str, Any]) -> str:
    body = content.get("body")
    return body if isinstance(body, str) else _dump(body)


def _markdown(content: dict[str, Any]) -> SafeString:
    return _render_markdown(_body(content))


def _html(content: dict[str, Any]) -> SafeString:
    return sanitized(_body(content))


def _plain(content: dict[str, Any]) -> SafeString:
    return _preformatted(_body(content))


def _link(content: dict[str, Any]) -> SafeString:
    """Links, images and videos lead to where they are: nothing foreign is loaded by itself."""
    url = str(content.get("url") or "")
    label = str(content.get("title") or content.get("alt") or url)
    return sanitized(format_html('<p><a href="{}">{}</a></p>', url, label))


def _crew(content: dict[str, Any]) -> SafeString:
    """CrewAI's CrewOutput: the answer, then what each task brought."""
    tasks = content.get("tasks_output")
    steps = [_task(task) for task in tasks if isinstance(task, dict)] if tasks else []
    parts = [_raw(content), *steps]
    if content.get("token_usage"):
        parts += [_heading("Tokens"), _preformatted(content["token_usage"])]
    return _joined(parts)


def _task(content: dict[str, Any]) -> SafeString:
    """CrewAI's TaskOutput."""
    title = content.get("name") or "Task"
    facts = _facts(content, {"agent": "Agent", "description": "Task"})
    return _joined((_heading(str(title)), facts, _raw(content)))


def _agent_step(content: dict[str, Any]) -> SafeString:
    """CrewAI's AgentAction, AgentFinish and ToolResult: what it thought, did and got."""
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
    return _render_markdown(raw) if isinstance(raw, str) else _preformatted(raw)


def _facts(content: dict[str, Any], names: dict[str, str]) -> SafeString:
    """The named fields that are there, one under the other."""
    rows = [
        (label, plain_text(value if isinstance(value, str) else _dump(value)))
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
        "<pre>{}</pre>", plain_text(value if isinstance(value, str) else _dump(value))
    )


def _text(message: str) -> SafeString:
    return format_html("{}", plain_text(message))


def _joined(parts: Any) -> SafeString:
    return format_html_join("\n", "{}", ((part,) for part in parts))


def _parsed(text: str) -> Any:
    """The JSON value; half of a surrogate pair, which no output can carry, becomes a `?`."""
    value = json.loads(text)
    if r"\ud" in text.lower():
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _is_too_large(text: str) -> bool:
    return len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES


def _is_too_deep(text: str) -> bool:
    return measure_json(text.encode("utf-8", "replace")).depth > MAX_DEPTH


def _is_too_complex(html: str) -> bool:
    """Whether a parser could need very long for it: elements nested deeply, reopened often, or
    with very many attributes. A closing tag counts for its own name only, as for a parser."""
    if max(html.count("<"), html.count("&")) > MAX_TAGS:
        return True
    depths: Counter[str] = Counter()
    deepest = formatting = 0
    for match in TAG.finditer(html):
        is_closing, name, rest = match[1], match[2].lower(), match[3]
        if len(ATTRIBUTE_END.findall(rest)) > MAX_ATTRIBUTES:
            return True
        if name in VOID or name in CLOSED_BY_THE_NEXT:
            continue
        if not is_closing:
            depths[name] += 1
        elif depths[name]:
            depths[name] -= 1
        else:
            continue
        change = -1 if is_closing else 1
        deepest += change
        formatting += change if name in REOPENED else 0
        if deepest > MAX_DEPTH or formatting > MAX_FORMATTING_DEPTH:
            return True
    return False
