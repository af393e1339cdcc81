"""A sentence that the code puts together has a space between a value and the next word."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SKIPPED = {"tests", "migrations", "benchmarks", "node_modules"}
WORD = re.compile(r"[A-Za-z]{2,} ")


def glued(source: str) -> Iterator[str]:
    """The texts of f-strings that begin with a word directly after a value."""
    for node in ast.walk(ast.parse(source)):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for value, text in pairwise(parts):
            follows = isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant)
            if follows and WORD.match(text.value):
                yield text.value


def sources() -> Iterator[Path]:
    for app in sorted(path.parent for path in PROJECT.glob("*/__init__.py")):
        for path in app.rglob("*.py"):
            if not SKIPPED & set(path.relative_to(PROJECT).parts):
                yield path


def test_no_word_is_glued_to_a_value() -> None:
    found = {
        f"{path.relative_to(PROJECT)}: {text}"
        for path in sources()
        for text in glued(path.read_text())
    }

    assert found == set()


@pytest.mark.parametrize("text", ["{key}no longer signs", "{1}files are restored."])
def test_a_glued_word_is_found(text: str) -> None:
    assert list(glued(f'f"{text}"'))
