"""Text of others takes time in proportion to its length: eight times the text, not 64 times."""

import ast
import gc
import importlib
import json
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from core.text import comparable, normalized, normalized_password
from executions import ansi, errors, markdown, rendering, sanitizing
from executions.repeats import digests

APPS = (
    *("agents", "analytics", "core", "executions", "importers", "live", "organizations"),
    *("pages", "panel", "tokens"),
)
SHORT = 1_000
LONG = 8 * SHORT
WORTH_MEASURING = 0.03
"""Seconds. What is faster for the long text is fast enough: a square would take a multiple."""
MAX_RATIO = 25
"""A linear function takes 8 times as long, and a quadratic one 64 times."""
PIECES = (
    *("a", "A", "0", "a0", "0.", "1,", "1e", "0x", " ", "\t", "\n", "\r", "\b", "\r\n", "\n\n"),
    *("    ", "a ", " a", "\x1b", "\x1b[", "\x1b[3", "\x1b[31m", "\x1b]", "\x9b", "<", "<a", "<a "),
    *("/", "</a>", "<!--", "--", "&", "&#", "*", "_", "`", "~", "[", "](", "![", "> ", "- ", "1. "),
    *(
        "|",
        '"',
        "'",
        "\\",
        '"\\',
        "{",
        "[[",
        '"a":',
        "://",
        "http://",
        "a@",
        "a.",
        "a:",
        "a-",
        "/a",
    ),
    *("\\a", "C:\\", ".", "-", "=", "+", ";x=", "; ", "%41", "#", "(", ")", "'a", "x\b", "a\r"),
    *(
        "\u0345\u0316",
        "\u2028",
        "\u1100",
        "\u201c",
        "\u2018",
        " \u2018",
        "\u2018a",
        "\xab",
        "\ufffd",
        "Traceback (",
        '  File "',
    ),
    *("a.B: ", "eyJa", "sk_"),
)
SHORT_TEXTS = {
    "core.failures.SECRETS": "the first 300 characters of a line",
}
"""Regular expressions that may take a square, because their texts were cut before."""
SHAPES = ("{}", "<a{}>")


def seconds(function: Callable[[Any], Any], text: Any) -> float:
    """The least processor time of three calls."""
    taken = []
    gc.disable()  # what other tests left behind is not to be collected on this one's time
    try:
        for _ in range(3):
            begun = time.thread_time()
            function(text)
            taken.append(time.thread_time() - begun)
            if taken[-1] < WORTH_MEASURING:
                break
    finally:
        gc.enable()
    return min(taken)


def is_linear(function: Callable[[Any], Any], text: Callable[[int], Any]) -> bool:
    """Whether the function's time for a text of LONG characters is not that of a square."""
    long = seconds(function, text(LONG))
    return long < WORTH_MEASURING or long <= MAX_RATIO * seconds(function, text(SHORT))


def text_of(piece: str, shape: str, length: int) -> str:
    return shape.format((piece * (length // len(piece) + 1))[:length])


def bytes_of(piece: str, length: int) -> bytes:
    return text_of(piece, "{}", length).encode()


def patterns() -> Iterator[tuple[str, re.Pattern[Any], bool]]:
    """Each regular expression of a module, with whether it is only compared with whole texts."""
    for app in APPS:
        for file in sorted((settings.BASE_DIR / app).rglob("*.py")):
            source = file.read_text()
            place = file.relative_to(settings.BASE_DIR).with_suffix("").parts
            if "re.compile" not in source or {"tests", "migrations"} & set(place):
                continue
            for name, value in vars(importlib.import_module(".".join(place))).items():
                yield from patterns_in(f"{'.'.join(place)}.{name}", value, source)


def patterns_in(name: str, value: Any, source: str) -> Iterator[tuple[str, re.Pattern[Any], bool]]:
    if isinstance(value, re.Pattern):
        uses = set(re.findall(rf"\b{name.rpartition('.')[2]}\.(\w+)", source))
        yield name, value, bool(uses) and uses <= {"fullmatch", "match", "pattern"}
    elif isinstance(value, (list, tuple)):
        for place, each in enumerate(value):
            yield from patterns_in(f"{name}[{place}]", each, source)


def test_every_regular_expression_is_linear() -> None:
    quadratic, found = set(), list(patterns())
    for name, pattern, is_whole in found:
        method = pattern.fullmatch if is_whole else pattern.findall
        for piece in PIECES:
            text: Callable[[int], Any] = partial(text_of, piece, "{}")
            if isinstance(pattern.pattern, bytes):
                text = partial(bytes_of, piece)
            if not is_linear(method, text):
                quadratic.add((name, piece))

    assert len(found) > 50
    assert {name for name, _ in quadratic} == SHORT_TEXTS.keys()


def test_the_measure_finds_a_square() -> None:
    """The one that this test was written for."""
    text = partial(text_of, " ", "{}")

    assert not is_linear(re.compile(r"[\s/]+[^\s/]").findall, text)
    assert is_linear(sanitizing.ATTRIBUTE.findall, text)


READERS: dict[str, Callable[[str], Any]] = {
    "ansi": ansi.ansi_as_html,
    "last states": ansi.last_states,
    "error": lambda text: errors.read_error(text).fingerprint(),
    "error with a traceback": lambda text: errors.read_error(
        f"Traceback (most recent call last):\n{text}"
    ),
    "plain text": sanitizing.plain_text,
    "HTML": sanitizing.is_too_complex,
    "Markdown": markdown.render_markdown,
    "inputs": lambda text: rendering.inputs_as_yaml(json.dumps({text: text})),
    "digests": lambda text: digests({"final": text}),
    "normalized": normalized,
    "comparable": comparable,
    "password": normalized_password,
}


@pytest.mark.parametrize("reader", READERS)
def test_reading_is_linear(reader: str) -> None:
    quadratic = {
        (piece, shape)
        for piece in PIECES
        for shape in (SHAPES if reader == "HTML" else SHAPES[:1])
        if not is_linear(READERS[reader], partial(text_of, piece, shape))
    }

    assert quadratic == set()


@pytest.mark.parametrize("read", [normalized, comparable, lambda text: digests({"final": text})])
def test_combining_characters_in_a_wrong_order_are_normalized_in_time(
    read: Callable[[str], Any],
) -> None:
    """Ordered by insertion, the longer text would take 64 times as long."""
    assert is_linear(read, lambda length: "a" + "\u0345" * length + "\u0316" * length)


NORMALIZING = {
    "core/text.py": {"normalize"},
    "agentidp/settings.py": {"urlsplit"},
    "tokens/oauth/metadata.py": {"urlsplit"},
    "tokens/resources.py": {"urlsplit"},
    "organizations/middleware.py": {"urlsplit", "url_has_allowed_host_and_scheme"},
    "organizations/admin_base.py": {"url_has_allowed_host_and_scheme"},
    "pages/account/sessions.py": {"url_has_allowed_host_and_scheme"},
    "organizations/people/mail_addresses.py": {"idna"},
    "organizations/actions/organizations.py": {"slugify"},
}
"""Where a text is normalized: by core.text alone, otherwise only settings, headers (which have no
combining characters) and texts whose length was limited before: identifiers, the next page (by
Django), domains, and names of organizations."""
NAMES = {
    *("normalize", "urlsplit", "urlparse", "slugify", "url_has_allowed_host_and_scheme", "idna"),
    *("Truncator", "UsernameField", "normalize_username", "truncatechars", "ToASCII"),
}
"""What normalizes a text in the standard library and in Django."""


def test_only_core_text_normalizes() -> None:
    used: dict[str, set[str]] = {}
    for app in (*APPS, "agentidp"):
        for file in (settings.BASE_DIR / app).rglob("*.py"):
            place = file.relative_to(settings.BASE_DIR)
            if {"tests", "migrations", "devtools"} & set(place.parts):
                continue
            if names := names_in(file.read_text()) & NAMES:
                used[str(place)] = names

    # Of a decimal number, not of a text.
    assert used.pop("executions/api/serializers.py") == {"normalize"}
    assert used == NORMALIZING


def names_in(source: str) -> set[str]:
    """The functions, methods and one-word texts that a source uses."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def test_templates_shorten_without_normalizing() -> None:
    templates = settings.BASE_DIR / "templates"
    assert not [file for file in templates.rglob("*") if "truncatechars" in read(file)]


def read(file: Path) -> str:
    return file.read_text() if file.suffix in {".html", ".txt"} else ""


def test_one_function_of_the_database_normalizes() -> None:
    files = settings.BASE_DIR.glob("[a-z]*/sql/*.sql")
    call = re.compile(r"(?<!_)\b(normalize\(|NORMALIZED)", re.IGNORECASE)

    assert {file.stem for file in files if call.search(file.read_text())} == {
        "organizations_normalized"
    }
