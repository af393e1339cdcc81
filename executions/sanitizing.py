"""Sanitizing of HTML and text written by engines, limited in size and in time."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import nh3
from django.utils.safestring import SafeString, mark_safe

from executions.long_words import with_breaks
from executions.table_grids import has_vast_grids

MAX_BYTES = 256 * 1024
"""Bytes of a message that are rendered; a larger one can only be downloaded."""
MAX_DEPTH = 100
"""The maximum nesting of elements or JSON."""
MAX_FORMATTING_DEPTH = 16
MAX_TAGS = 20_000
"""For one piece of HTML, and for the elements rendered from one message."""
MAX_ATTRIBUTES = 40
SECONDS = 1.0
"""Processor time for all pieces of one message. Markdown stops on its way; another piece that has
begun is completed."""
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
# Escape sequences of terminals (ECMA-48): CSI, then OSC and similar, then two-byte ones.
ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)([^>]*)")
ATTRIBUTE = re.compile(r"(?<=[\s/])[^\s/]")
"""The first character of an attribute. The spaces before it are not matched: they would be read
again from each of them if no attribute follows."""
VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"}
)
CLOSED_BY_THE_NEXT = frozenset({"p", "li", "dt", "dd", "td", "th", "tr", "option"})
REOPENED = frozenset(
    {*("a", "b", "big", "code", "em", "font", "i", "nobr", "s"), *("small", "strike", "strong")}
    | {"tt", "u"}
)
"""Elements that a parser reopens in each following block, so that a few can become very many."""
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def limited_time(seconds: float | None = None) -> Iterator[None]:
    """Limit the time that this thread spends on rendering; what is left is replaced by a notice.

    Inside another limit, the outer one counts.
    """
    if _deadline.get() is not None:
        yield
        return
    token = _deadline.set(time.thread_time() + (SECONDS if seconds is None else seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def is_out_of_time() -> bool:
    deadline = _deadline.get()
    return deadline is not None and time.thread_time() > deadline


def plain_text(text: str) -> str:
    """`unbroken_text` for a page: with breaks in very long words."""
    return with_breaks(unbroken_text(text))


def unbroken_text(text: str) -> str:
    """The text without escape sequences and control characters, cut at the size limit."""
    shown = text[:MAX_BYTES]
    shown = ESCAPE_SEQUENCE.sub("", shown).replace("\r\n", "\n").replace("\r", "\n")
    shown = CONTROL.sub("\N{REPLACEMENT CHARACTER}", shown)
    return shown + CUT if len(text) > MAX_BYTES else shown


def sanitized(html: str) -> SafeString:
    """The sanitized HTML, or a notice that it is too complex."""
    return TOO_COMPLEX if is_out_of_time() else cleaned(html)


def cleaned(html: str) -> SafeString:
    if is_too_large(html) or is_too_complex(html):
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
    if has_vast_grids(clean):
        return TOO_COMPLEX
    return mark_safe(with_breaks(clean))  # noqa: S308 - this is the sanitiser


def is_too_large(text: str) -> bool:
    return len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES


def is_too_complex(html: str) -> bool:
    """Whether parsing the HTML could take very long.

    Costly are deep nesting, elements that are reopened often, and very many attributes. As in a
    parser, a closing tag counts only for its own name.
    """
    if max(html.count("<"), html.count("&")) > MAX_TAGS:
        return True
    depths: Counter[str] = Counter()
    deepest = formatting = 0
    for match in TAG.finditer(html):
        is_closing, name, rest = match[1], match[2].lower(), match[3]
        if len(ATTRIBUTE.findall(rest)) > MAX_ATTRIBUTES:
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
