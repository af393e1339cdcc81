"""Turning an engine's error text into a readable message and a group."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import Any

from executions.json_text import UNSTORABLE, is_too_deep
from executions.plain_words import HIDDEN, is_plain, plain_words

MAX_MESSAGE_LENGTH = 2000
KODOSUMI_ERROR = "kodosumi.error.KodosumiError"
# `package.module.Name: message`, at the start of a line: the last line of a Python traceback.
# Texts are long and anybody's: this takes linear time.
RAISED = re.compile(r"^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?:: |:?$)")
TRACEBACK = "Traceback (most recent call last)"
TRACEBACK_LINE = re.compile(rf"^.*?{re.escape(TRACEBACK)}", re.MULTILINE)
FRAME = re.compile(r'^[ \t|+-]+File "([^"\n]+)", line (\d+), in (\S+)', re.MULTILINE)
# A part of a trace, of any language, on a line that would otherwise be a message.
TRACE_MARK = re.compile(
    r'File "[^"\n]*", line \d'
    r"|\.(?:cc?|cpp|cs|exs?|go|java|jsx?|kt|[cm]js|php|pyx?|rb|rs|scala|swift|tsx?)"
    r"""["']?(?::|, line | line |:line )\d"""
    r"|\bat [\w.$<>/]+ ?\([^()\s]{1,200}:\d"
    r"|\bgoroutine \d+ \[|\+0x[0-9a-f]+\b"
    rf"|{re.escape(TRACEBACK[:11])}"
)
PATH = re.compile(r"[\\/][\w.@~+-]+[\\/]")
BOX = re.compile(r"^[ \t]*(?:\| |\+-)", re.MULTILINE)
"""The frame that Python draws around exception groups."""
LABEL = re.compile(r"[A-Za-z_][\w.$ ]{0,80}: ")
JSON = re.compile(r"""\s*["']?(?:\{|\[["'{\[])""")
"""The beginning of JSON or of a Python value, of which only a message would be for everyone."""
KIND = re.compile(r"[A-Za-z_][\w.-]{0,254}")
MAX_INDENTATION = 64
MESSAGES = ("message", "error", "detail")
"""Names in a JSON object under which engines report what everyone may read."""
WITHOUT_MESSAGE = "The execution failed without a message."
OPERATORS_ONLY = "The execution failed. Operators can read the details."
LIBRARY = re.compile(r"(^|/)(site-packages|dist-packages|lib/python[\d.]+)/|^<frozen ")
FINGERPRINT_VERSION = "v6:"
"""The version of the rules below. Increase it when you change them; `regroup_errors` then
updates stored errors.
"""
# Quotes count only at the edges of words: the apostrophe in "can't" begins no quotation.
QUOTED = (
    r"(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w))*+'(?!\w)"
    r'|(?<!\w)"[^"\n]*+"(?!\w)|`[^`\n]*+`'
    r"|\u201c[^\u201c\u201d\n]*+\u201d|\xab[^\xab\xbb\n]*+\xbb"
    r"|(?<!\w)\u2018(?:[^\u2018\u2019\n]|(?<=\w)\u2019(?=\w))*+\u2019(?!\w)"
)
# Possessive where matching could restart at each character, and no quotation holds the mark that
# begins one: engines send a thousand errors at once.
VARIABLE_PARTS = (
    ("/", re.compile(r"https?://\S+"), "<url>"),
    ("@", re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++\.[\w.]+"), "<e-mail>"),
    ("-", re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<uuid>"),
    (
        "-",
        re.compile(
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\w)"
        ),
        "<date>",
    ),
    ("'\"`\u201c\xab\u2018", re.compile(QUOTED), "<text>"),
    ("/\\", re.compile(r"(?<![\w/\\])(?:[A-Za-z]:)?[\\/](?:[\w.@~+-]+[\\/])+[\w.@~+-]*"), "<path>"),
    ("0", re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<hex>"),
)
WORD = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z0-9]{16,}|[A-Za-z]{0,15}+[0-9][A-Za-z0-9]*)(?![A-Za-z0-9])"
)
"""A part of a name between `_`, `-`, `.` and similar characters, which may be an id: a word of
fewer letters is none."""
WORD_WITH_NUMBER = re.compile(r"[A-Z]?[a-z]{2,}\d+|[A-Z]{3,}\d+|\d+[A-Za-z]{0,3}")
"""int64, HTTP404, 30s: a word, whatever its number."""
TWO_DIGITS = re.compile(r"[0-9][A-Za-z]*[0-9]")
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
    """Decide what everyone may read of an error; all of its text is for operators only.

    That is a line which is recognized, not a text from which something was removed: the exception
    that a traceback ends with, the `message`, `error` or `detail` of a JSON object, or the first
    line of a text that has no marks of a trace. For anything else it is OPERATORS_ONLY. Of such a
    line they read plain words only (plain_words.py), unless its author wrote it for people.
    """
    text = _unified(text)
    if not text.lstrip().startswith(("{", '"')):
        return _from_text(text)
    kind, value = "", _parsed(text)
    while isinstance(value, dict):
        own = value.get("type")
        kind = own if isinstance(own, str) and KIND.fullmatch(own) and is_plain(own) else kind
        value = next((value[key] for key in MESSAGES if value.get(key)), None)
    if isinstance(value, str):
        text = UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", _unified(value))
    elif value is not None:
        return ReadableError(kind, OPERATORS_ONLY)
    found = _from_text(text)
    return ReadableError(kind or found.error_type, found.message, found.place)


def _parsed(text: str) -> Any:
    """The JSON value; None if the text is none that is shown."""
    try:
        return None if is_too_deep(text) else json.loads(text)
    except (ValueError, RecursionError):
        return None


def _unified(text: str) -> str:
    """The text with one kind of line ends and without empty lines around it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n\ufeff")


def _from_text(text: str) -> ReadableError:
    if not text.strip():
        return ReadableError("", WITHOUT_MESSAGE)
    if found := _last_traceback(text):
        return _from_traceback(text, *found)
    line, _, rest = text.rstrip().partition("\n")
    name = _raised(line)
    has_class = "." in name or rest.lstrip().startswith("at ")
    if rest and not has_class and _raised(last := rest[rest.rfind("\n") + 1 :].lstrip()):
        line, rest, name, has_class = last, "", _raised(last), True  # a traceback's end
    error_type = _type(name) if has_class else ""
    if JSON.match(line) or TRACE_MARK.search(line) or (rest and not _is_title(line, rest, name)):
        return ReadableError(error_type, OPERATORS_ONLY)
    said = _said(line, name) if has_class else _cut(plain_words(line.strip()))
    return ReadableError(error_type, said)


def _is_title(line: str, rest: str, name: str) -> bool:
    """Whether everyone may read the first line of a text with several."""
    if line[0].isspace() or (not name and PATH.search(line)):
        return False
    return LABEL.match(line) is not None or not (TRACE_MARK.search(rest) or BOX.search(rest))


def _last_traceback(text: str) -> tuple[int, int] | None:
    """Where the text after the last traceback begins, and how far that is indented. One inside an
    exception group is indented further than the group's.
    """
    if TRACEBACK not in text:
        return None
    found = [(match.end(), _indentation(match[0])) for match in TRACEBACK_LINE.finditer(text)]
    least = min(indentation for _, indentation in found)
    return next(each for each in reversed(found) if each[1] == least)


def _from_traceback(text: str, start: int, indentation: int) -> ReadableError:
    found = _raised_after(min(indentation, MAX_INDENTATION)).finditer(text, start)
    raised = next((each for each in found if "." in each[1] or _is_class(each[1])), None)
    if raised is None:
        return ReadableError("", OPERATORS_ONLY, _place(text, start))
    name, place = raised[1], _place(text, raised.start())
    line, _, rest = text[raised.start(1) :].partition("\n")
    if TRACE_MARK.search(line):
        return ReadableError(_type(name), OPERATORS_ONLY, place)
    if name != KODOSUMI_ERROR:
        return ReadableError(_type(name), _said(line, name), place)
    # The author's message to people may have several lines.
    lines = takewhile(lambda each: not TRACE_MARK.search(each), rest.splitlines())
    message = "\n".join([_after(line, name), *lines]).strip()
    return ReadableError("KodosumiError", _cut(message or "KodosumiError"), place)


@cache
def _raised_after(indentation: int) -> re.Pattern[str]:
    """The line with an exception, which is indented exactly so far, and no frame or code is."""
    name = r"((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)"
    return re.compile(rf"^[ \t|+-]{{{indentation}}}{name}(?:: |:?$)", re.MULTILINE)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" \t|+-"))


def _said(line: str, name: str) -> str:
    """`Name: message` of a line that names an exception with its package."""
    short, message = _type(name) or HIDDEN, plain_words(_after(line, name))
    return _cut(f"{short}: {message}" if message else short)


def _type(name: str) -> str:
    """The class of an exception, without its package; "" if that is no plain word."""
    short = name.rpartition(".")[2][:255]
    return short if is_plain(short) else ""


def _after(line: str, name: str) -> str:
    return line[len(name) :].lstrip(": ").strip()


def _raised(line: str) -> str:
    """The exception class that the line names (it must contain a capital letter); otherwise
    empty.
    """
    match = RAISED.match(line)
    return match[1] if match and _is_class(match[1]) else ""


def _is_class(name: str) -> bool:
    return name.rpartition(".")[2] != name.rpartition(".")[2].lower()


def _place(text: str, end: int) -> str:
    """File and function of the innermost frame before `end`, if possible outside libraries."""
    frames = list(FRAME.finditer(text, 0, end))
    if not frames:
        return ""
    own = innermost_own(frames)
    file, _, function = frames[-1 if own is None else own].groups()
    return f"{file} in {function}"


def innermost_own(frames: Sequence[re.Match[str]]) -> int | None:
    """The place of the innermost frame outside libraries among these, the matches of FRAME."""
    places = reversed(range(len(frames)))
    return next((place for place in places if not LIBRARY.search(frames[place][1])), None)


def _cut(message: str) -> str:
    return (
        message if len(message) <= MAX_MESSAGE_LENGTH else message[: MAX_MESSAGE_LENGTH - 1] + "…"
    )


def normalized(message: str) -> str:
    """The message without variable parts: numbers, ids, paths, addresses, quoted text, dates.

    An id keeps its prefix: `req_<id>`.
    """
    for signs, pattern, name in VARIABLE_PARTS:
        if any(sign in message for sign in signs):
            message = pattern.sub(name, message)
    return NUMBER.sub("<number>", WORD.sub(_without_id, message))


def _without_id(word: re.Match[str]) -> str:
    text = word[0]
    if len(text) < 16 and WORD_WITH_NUMBER.fullmatch(text):
        return text
    return "<id>" if TWO_DIGITS.search(text) or HEX.fullmatch(text) else text


def _says_something(words: str, error_type: str) -> bool:
    rest = PLACEHOLDER.sub("", words.removeprefix(error_type))
    return any(letter.isalpha() for letter in rest)
