"""Turning an engine's error text into a readable message and a group."""

import hashlib
import json
import re
from dataclasses import dataclass

from executions.json_text import read_json

MAX_MESSAGE_LENGTH = 2000
KODOSUMI_ERROR = "kodosumi.error.KodosumiError"
# `package.module.Name: message`, at the start of a line: the last line of a Python traceback.
# Texts are long and anybody's: this takes linear time.
RAISED = re.compile(r"^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?:: |:?$)")
FRAME = re.compile(r'^\s+File "([^"]+)", line \d+, in (\S+)')
LIBRARY = re.compile(r"(^|/)(site-packages|dist-packages|lib/python[\d.]+)/|^<frozen ")
FINGERPRINT_VERSION = "v2:"
"""The version of the rules below. Increase it when you change them; `regroup_errors` then
updates stored errors.
"""
# Quotes count only at the edges of words: the apostrophe in "can't" begins no quotation.
QUOTED = (
    r"(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w))*'(?!\w)"
    r'|(?<!\w)"[^"\n]*"(?!\w)|`[^`\n]*`|\u201c[^\u201d\n]*\u201d|\xab[^\xbb\n]*\xbb'
    r"|(?<!\w)\u2018(?:[^\u2019\n]|(?<=\w)\u2019(?=\w))*\u2019(?!\w)"
)
# Possessive where matching could restart at each character: engines send a thousand at once.
VARIABLE_PARTS = (
    (re.compile(r"https?://\S+"), "<url>"),
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++\.[\w.]+"), "<e-mail>"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<uuid>"),
    (
        re.compile(
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\w)"
        ),
        "<date>",
    ),
    (re.compile(QUOTED), "<text>"),
    (re.compile(r"(?<![\w/\\])(?:[A-Za-z]:)?[\\/](?:[\w.@~+-]+[\\/])+[\w.@~+-]*"), "<path>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<hex>"),
)
WORD = re.compile(r"[A-Za-z0-9]+")
"""A part of a name between `_`, `-`, `.` and similar characters."""
WORD_WITH_NUMBER = re.compile(r"[A-Z]?[a-z]{2,}\d+|[A-Z]{3,}\d+|\d+[A-Za-z]{0,3}")
"""int64, HTTP404, 30s: a word, whatever its number."""
HEX = re.compile(r"[0-9a-f]{16,}|[0-9A-F]{16,}|(?=\D*\d)(?:[0-9a-f]{8,}|[0-9A-F]{8,})")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
PLACEHOLDER = re.compile(r"<[a-z-]+>")


@dataclass(frozen=True)
class ReadableError:
    """A readable error: `message` is for everyone, the trace behind it for operators only."""

    error_type: str
    message: str
    place: str = ""
    """File and function of the innermost frame outside libraries."""

    def fingerprint(self) -> str:
        """A hash that errors of one group share, whichever agent they come from.

        It covers the type and the words of the message without variable parts such as numbers and
        ids. A message without words is told apart by file and function, but not by folder, because
        each agent runs in its own.
        """
        words = normalized(self.message)
        place = (
            "" if _says_something(words, self.error_type) else re.split(r"[/\\]", self.place)[-1]
        )
        parts = (self.error_type, words, place)
        return FINGERPRINT_VERSION + hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:32]


def read_error(text: str) -> ReadableError:
    """Read the last exception of a traceback, a JSON object's `error` or `message`, or plain
    text.
    """
    from_json = _from_json(text)
    if from_json is not None:
        return from_json
    lines = text.strip().splitlines()
    start = max((n for n, line in enumerate(lines) if line.startswith("Traceback (")), default=None)
    if start is None and "." not in _raised(lines[0] if lines else ""):
        return ReadableError("", _cut(text.strip() or "The execution failed without a message."))
    raised = next(
        (n for n in range((start or -1) + 1, len(lines)) if _raised(lines[n])), len(lines) - 1
    )
    name = _raised(lines[raised])
    message = "\n".join([lines[raised][len(name) :].lstrip(": "), *lines[raised + 1 :]]).strip()
    short = name.rpartition(".")[2][:255]
    if name != KODOSUMI_ERROR:
        message = f"{short}: {message}" if short and message else message or short
    return ReadableError(short, _cut(message or short), _place(lines[:raised]))


def _raised(line: str) -> str:
    """The exception class that the line names (it must contain a capital letter); otherwise
    empty.
    """
    match = RAISED.match(line)
    name = match[1] if match else ""
    return name if name.rpartition(".")[2] != name.rpartition(".")[2].lower() else ""


def _from_json(text: str) -> ReadableError | None:
    value = read_json(text) if text.lstrip().startswith("{") else None
    if not isinstance(value, dict):
        return None
    found = next((value[key] for key in ("message", "error", "detail") if value.get(key)), None)
    message = found if isinstance(found, str) else json.dumps(found or value, ensure_ascii=False)
    kind = value.get("type")
    return ReadableError(kind[:255] if isinstance(kind, str) else "", _cut(message))


def _place(lines: list[str]) -> str:
    frames = [match.groups() for line in lines if (match := FRAME.match(line))]
    own = [frame for frame in frames if not LIBRARY.search(frame[0])]
    file, function = (own or frames or [("", "")])[-1]
    return f"{file} in {function}" if file else ""


def _cut(message: str) -> str:
    return (
        message if len(message) <= MAX_MESSAGE_LENGTH else message[: MAX_MESSAGE_LENGTH - 1] + "…"
    )


def normalized(message: str) -> str:
    """The message without variable parts: numbers, ids, paths, addresses, quoted text, dates.

    An id keeps its prefix: `req_<id>`.
    """
    for pattern, name in VARIABLE_PARTS:
        message = pattern.sub(name, message)
    return NUMBER.sub("<number>", WORD.sub(_without_id, message))


def _without_id(word: re.Match[str]) -> str:
    text = word[0]
    mixes = sum(letter.isdigit() for letter in text) >= 2
    if len(text) < 16 and WORD_WITH_NUMBER.fullmatch(text):
        return text
    return "<id>" if mixes or HEX.fullmatch(text) else text


def _says_something(words: str, error_type: str) -> bool:
    rest = PLACEHOLDER.sub("", words.removeprefix(error_type))
    return any(letter.isalpha() for letter in rest)
