"""Markdown written by engines, rendered as safe HTML."""

import re
from collections.abc import Iterable
from textwrap import dedent
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from executions.sanitizing import TOO_COMPLEX, cleaned, is_out_of_time, is_too_complex, is_too_large

MAX_MARKS = 30_000
"""Characters with a meaning in Markdown: parsers are slow for very many of them in a row."""
MAX_LINES = 10_000
"""Lines of Markdown: each may become a block, and parsers are slow for very many blocks."""
MAX_CELLS = 10_000
"""Cells of all tables in one piece of Markdown. Short rows are padded to the width of the
header, so that few characters could become very many cells.
"""
MAX_GROWTH, MAX_SMALL_GROWTH = 4, 10_000
"""By how many times its length, and how many characters, addresses that it refers to may lengthen a
text: a page has a hundred of them.
"""
LINE_END = re.compile(r"\r\n?")
MARK = re.compile(r"[*_~`!|&\[\]]")


def render_markdown(body: str) -> SafeString:
    if is_out_of_time() or is_too_large(body) or is_too_complex(body):
        return TOO_COMPLEX
    body = LINE_END.sub("\n", body)
    if len(MARK.findall(body)) > MAX_MARKS or body.count("\n") > MAX_LINES:
        return TOO_COMPLEX
    if _cells(body) > MAX_CELLS:
        return TOO_COMPLEX
    references: dict[str, Any] = {}
    try:
        tokens = MARKDOWN.parse(dedent(body), references)
    except OutOfTime:
        return TOO_COMPLEX
    if _length_of_addresses(tokens) > MAX_GROWTH * len(body) + MAX_SMALL_GROWTH:
        return TOO_COMPLEX
    return cleaned(MARKDOWN.renderer.render(tokens, MARKDOWN.options, references))


def _length_of_addresses(tokens: Iterable[Token]) -> int:
    """The characters of all attributes. A text may define one long address and refer to it
    thousands of times: as HTML, a quarter of a megabyte would become gigabytes.
    """
    return sum(
        sum(len(str(value)) for value in token.attrs.values())
        + _length_of_addresses(token.children or ())
        for token in tokens
    )


def _cells(body: str) -> int:
    """An upper bound for the number of table cells.

    A table ends at an empty line, and no row has more cells than the widest line.
    """
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
    """Render images as links: an image would tell a foreign server who reads the output."""
    token: Token = tokens[index]
    label = token.content or str(token.attrGet("src") or "")
    return str(format_html('<a href="{}">{}</a>', token.attrGet("src") or "", label))


class OutOfTime(Exception):
    """The time for rendering is over while a text is parsed."""


def _stop_in_time(*_: Any) -> bool:
    """A rule that nothing in a text matches. Others look at the rest of the text each time:
    quotations that are broken off by links took minutes.
    """
    if is_out_of_time():
        raise OutOfTime
    return False


MARKDOWN = MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(
    ["table", "strikethrough"]
)
MARKDOWN.add_render_rule("image", _image_as_link)
MARKDOWN.block.ruler.before("table", "stop_in_time", _stop_in_time)
MARKDOWN.inline.ruler.before("text", "stop_in_time", _stop_in_time)
