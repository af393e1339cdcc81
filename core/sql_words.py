"""Compares SQL as it was written with SQL as PostgreSQL keeps or prints it."""

import re

TOKEN = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\s*\)|\(\s*|\s+|[^\s'()-]+|-")
TYPE = r"(?:timestamp\ with(?:out)?\ time\ zone|double\ precision|character\ varying|\w+)(?:\[\])?"
WORD = re.compile(
    rf"""E?(?P<text>'(?:[^']|'')*') | ::{TYPE} | \bAS\ "\w+" | "?(?P<word>[\w.]+)"?
    | (?P<sign>[^\s\w();"]+?)(?=[\s\w();"']|$)""",
    re.VERBOSE,
)
"""A text, an added type, the added name of a column, a name or word, an operator."""


def normalized(text: str) -> str:
    """The text with normalized white space, except in comments and quotes."""
    return "".join(map(_normalized_token, TOKEN.findall(text))).strip()


def _normalized_token(token: str) -> str:
    if token.isspace():
        return " "
    return token if token.startswith("'") else token.strip()


def words(text: str) -> list[str]:
    """The words of SQL that PostgreSQL prints from its tree.

    It adds brackets, types and the names of tables, and has other lines. What is left says what it
    does, apart from brackets.
    """
    found = []
    for token in WORD.finditer(text):
        if token["text"]:
            found.append(token["text"].replace("\\n", "\n"))
        elif word := token["word"]:
            is_called = text[token.end() : token.end() + 1] == "("  # by this schema's name
            found.append((word if is_called else word.rpartition(".")[2]).lower())
        elif token["sign"]:
            found.append(token["sign"])
    return [word for word in found if word != "as"]
