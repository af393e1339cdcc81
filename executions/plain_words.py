"""What everyone may read of one line of an error: words and numbers, no values.

Engines write into the same line what went wrong and with what: keys, connection strings, arguments,
rows. No list of secrets is complete, so each part of a line is shown only if it is known to be
plain: words of letters, short numbers, paths and addresses made of them, dates and UUIDs. Anything
else is HIDDEN. A value that is an ordinary word passes, except where the line says that a secret
follows.
"""

import re
from functools import lru_cache

HIDDEN = "…"
MAX_LINE_LENGTH = 2048
"""Characters of a line that are read: more than a message may have, so that its end is marked."""
CACHED_PARTS = 1024
"""Engines repeat their words, and each is looked at several times."""
LONG_WORD = 9
"""From here on a word of ASCII letters must look like one."""
MAX_DIGITS = 14
"""Of one part: longer ones are numbers of accounts, cards and telephones."""

PART = re.compile(r"\S+|\s+")
VALUE = re.compile(r"""\{\s*["']?\w|\{$|\[\s*["'{\[(]|[({]\w+=|\b[A-Za-z_]\w*\(\w+=""")
"""The beginning of JSON, of a Python value, or of arguments: the rest of the line is one."""
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?")
DECIMAL = re.compile(r"(?:at)?-?\d{1,10}\.\d{1,17}")
"""Kodosumi writes "expired at1795316099.8998983"."""
URL = re.compile(r"(?P<plain>[a-z][a-z+.-]*://[^\s@?#]*)(?P<value>.*)", re.DOTALL)
AROUND = "()[]{}<>'\"`,.;:!?\u2018\u2019\u201a\u201c\u201d\u201e\xab\xbb\u2026*|\u2014\u2013"
"""Signs around a word that say nothing."""
WITHIN = re.compile(r"[-_./\\:,+=()\[\]<>'\"\u2019|*&%~^!;?]+")
"""Signs between the words of a name, a path, an address or a format."""
NUMBER = re.compile(r"\d{1,10}")
WORD_WITH_NUMBER = re.compile(r"[A-Za-z]{1,12}\d{1,4}|\d{1,6}[A-Za-z]{1,3}")
"""utf8, HTTP404, 30s."""
HUMPS = re.compile(r"[A-Z]{0,5}[a-z]{1,30}(?:[A-Z][a-z]{2,20}){0,6}[A-Z]{0,3}|[A-Z]{2,20}")
"""AnExampleOfThis: unlike random letters, each of its capitals begins a word."""
GROUPS = re.compile(r"\d{3,6}(?: \d{3,6}){2,}")
"""A long number in groups."""
PLAIN_VALUE = re.compile(
    r"-?\d{1,10}(?:[.,]\d{1,9})?[A-Za-z%]{0,2}|true|false|none|null", re.IGNORECASE
)
"""What may follow a name."""
SECRET = re.compile(
    r"pass(?:word|wd|phrase|code)?s?|pwd|secrets?|tokens?|credentials?|authori[sz]ation|bearer"
    r"|cookies?|signature|(?:.*[_-])?(?:password|passwd|pwd|secret|token|auth)"
    r"|(?:api|access|private|secret|client|signing|account|shared)?[_-]?keys?|apikeys?|auth|pin|otp"
    r"|.*(?:password|secret|apikey|accesskey|token)",
    re.IGNORECASE,
)
"""Words after which a secret may follow."""
SECRET_WITHIN = re.compile(
    "pass|pwd|secret|token|cred|auth|bearer|cookie|signature|key|pin|otp", re.IGNORECASE
)
"""What each of them contains: to find that takes a tenth of the time."""
NAMED = re.compile(r"""["'`]?([\w.-]{1,80})["'`]?\s*(?::|=>?)(?![:/\\])(.*)""", re.DOTALL)
"""A name and what is said of it, in one part."""


def plain_words(line: str) -> str:
    """The line with HIDDEN in place of whatever is not known to be plain."""
    line = GROUPS.sub(HIDDEN, line[:MAX_LINE_LENGTH])
    value = VALUE.search(line)
    parts = PART.findall(line[: value.start()] if value else line)
    names_secrets = SECRET_WITHIN.search(line) is not None
    shown: list[str] = []
    before: list[str] = []
    for place, part in enumerate(parts):
        if part.isspace():
            shown.append(part)
            continue
        if not names_secrets:
            shown.append(_shown(part))
            continue
        before = before[-4:]
        if _begins_secret(part, before):
            return "".join([*shown, _name_of(part), HIDDEN])
        is_last = place == len(parts) - 1 or part.endswith((".", ",", ";"))
        if _is_named_secret(part, before, is_last=is_last):
            shown.append(part.replace(part.strip(AROUND) or part, HIDDEN, 1))
        else:
            shown.append(_shown(part))
        before.append(part)
    return "".join([*shown, HIDDEN] if value else shown)


def is_plain(name: str) -> bool:
    return _shown(name) == name


def _begins_secret(part: str, before: list[str]) -> bool:
    """Whether the part names a secret and says that it follows: the rest of the line is it."""
    if SECRET_WITHIN.search(part):
        named = NAMED.match(part)
        if named and SECRET.fullmatch(named[1].rpartition(".")[2]):
            return True
    return part in {"=", ":", "=>"} and bool(before) and _is_secret(before[-1])


def _is_named_secret(part: str, before: list[str], *, is_last: bool) -> bool:
    """Whether the part is what earlier words announce: `Bearer x`, `API key provided: x`."""
    if not before:
        return False
    if _is_secret(before[-1]) and not before[-1].endswith((",", ".", ";")):
        return before[-1].startswith("-") or not part.strip(AROUND).isalpha()
    is_announced = before[-1].endswith((":", "=")) and any(map(_is_secret, before[:-1]))
    return is_announced and is_last


@lru_cache(CACHED_PARTS)
def _is_secret(part: str) -> bool:
    if not SECRET_WITHIN.search(part):
        return False
    return SECRET.fullmatch(part.strip(AROUND + "=-")) is not None


def _name_of(part: str) -> str:
    """`password=` of `password=x`."""
    named = NAMED.match(part)
    return part[: named.start(2)] + (" " if named[2] == "" else "") if named else f"{part} "


@lru_cache(CACHED_PARTS)
def _shown(part: str) -> str:
    core = part.strip(AROUND)
    if not core or _is_short_word(core):
        return part
    return part.replace(core, _of_core(core), 1)


def _of_core(core: str) -> str:
    if any(pattern.fullmatch(core) for pattern in (UUID, TIME, DECIMAL)):
        return core
    if "://" in core and (url := URL.match(core)):
        if "@" in core or not _is_plain(url["plain"].partition("://")[2]):
            return HIDDEN
        return core if not url["value"] else url["plain"] + url["value"][0] + HIDDEN
    named = NAMED.match(core) if ":" in core or "=" in core else None
    if named and named[2] and not PLAIN_VALUE.fullmatch(named[2].strip(AROUND)):
        return _name_of(core) + HIDDEN if _is_plain(named[1]) else HIDDEN
    return core if _is_plain(core) else HIDDEN


def _is_short_word(text: str) -> bool:
    return len(text) < LONG_WORD and text.isascii() and text.isalpha()


def _is_plain(core: str) -> bool:
    digits = sum(map(str.isdigit, core))
    return digits <= MAX_DIGITS and all(map(_is_word, filter(None, WITHIN.split(core))))


def _is_word(text: str) -> bool:
    if _is_short_word(text):
        return True
    if NUMBER.fullmatch(text) or (len(text) < LONG_WORD and WORD_WITH_NUMBER.fullmatch(text)):
        return True
    if not text.isascii():
        return all(letter.isalpha() or letter in "\ufffd\u20ac" for letter in text) or not any(
            letter.isalnum() for letter in text
        )
    if not text.isalpha():
        return not any(letter.isalnum() for letter in text) and len(text) < LONG_WORD
    return len(text) < LONG_WORD or HUMPS.fullmatch(text) is not None
