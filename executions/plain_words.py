"""What everyone may read of one line of an error: words and numbers, no values.

Engines write into the same line what went wrong and with what: keys, connection strings, arguments,
rows. No list of secrets is complete, so each part of a line is shown only if it is known to be
plain: words of letters, short numbers, paths and addresses made of them, dates and UUIDs. Anything
else is HIDDEN. A value that is an ordinary word passes, except where the line says that a secret
may follow: there only known words pass (named_secrets.py), since `the password is wrong` is worth
reading.
"""

import re
from functools import lru_cache
from itertools import islice

from executions.named_secrets import (
    AROUND,
    NUMBER,
    WORDS_AFTER,
    Secrets,
    names_secrets,
    secret_within,
    word_of,
)

HIDDEN = "…"
MAX_LINE_LENGTH = 2048
"""Characters of a line that are read: more than a message may have, so that its end is marked."""
CACHED_PARTS = 1024
"""Engines repeat their words, and each is looked at several times."""
LONG_WORD = 9
"""From here on a word of ASCII letters must look like one."""
MAX_DIGITS = 14
"""Of one part: longer ones are numbers of accounts, cards and telephones."""
MAX_VALUES = 48
"""Of a line: what has more than these is no sentence, and the rest of it is hidden."""
MAX_WORDS = 48
"""Of a line that names a secret, whose words are compared with each other."""
WORD = re.compile(r"\S+")
UNUSUAL = re.compile(
    r"(?<!\S)(?!(?:[A-Za-z]{1,8}|[A-Z]?[a-z]{9,30})[,.;:]?(?!\S))\S+",
)
"""Anything but a plain word."""
VALUE = re.compile(r"""\{\s*["']?\w|\{$|\[\s*["'{\[(]|[({]\w+=|\b[A-Za-z_]\w*\(\w+=""")
"""The beginning of JSON, of a Python value, or of arguments: the rest of the line is one."""
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?")
DECIMAL = re.compile(r"(?:at)?-?\d{1,10}\.\d{1,17}")
"""Kodosumi writes "expired at1795316099.8998983"."""
MAX_KNOWN = 40
"""Characters of the longest of these."""
URL = re.compile(r"(?P<plain>[a-z][a-z+.-]*://[^\s@?#]*)(?P<value>.*)", re.DOTALL)
WITHIN = re.compile(r"[-_./\\:,+=()\[\]<>'\"\u2019|*&%~^!;?]+")
"""Signs between the words of a name, a path, an address or a format."""
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
NAMED = re.compile(r"""["'`]?([\w.-]{1,80})["'`]?\s*(?::|=>?)(?![:/\\])(.*)""", re.DOTALL)
"""A name and what is said of it, in one part."""


def plain_words(line: str) -> str:
    """The line with HIDDEN in place of whatever is not known to be plain."""
    line = GROUPS.sub(HIDDEN, line[:MAX_LINE_LENGTH])
    value = VALUE.search(line)
    text = line[: value.start()] if value else line
    shown, is_whole = _beside_secrets(text, line) if names_secrets(line) else _plain(text)
    return shown + HIDDEN if value and is_whole else shown


def _plain(text: str) -> tuple[str, bool]:
    """The plain words of the text, and whether all of it was read."""
    shown, end = [], 0
    for number, found in enumerate(UNUSUAL.finditer(text)):
        shown.append(text[end : found.start()])
        if number == MAX_VALUES:
            return "".join([*shown, HIDDEN]), False
        shown.append(_shown(found[0]))
        end = found.end()
    return "".join([*shown, text[end:]]), True


def _beside_secrets(text: str, line: str) -> tuple[str, bool]:
    """The same of a line that names secrets, without what may be one."""
    secrets, shown, end = Secrets(line), [], 0
    found = list(islice(WORD.finditer(text), MAX_WORDS + WORDS_AFTER))
    parts = [each[0] for each in found]
    for place, part in enumerate(parts):
        shown.append(text[end : found[place].start()])
        if place == MAX_WORDS:
            return "".join([*shown, HIDDEN]), False
        word, end = word_of(part), found[place].end()
        if secrets.begins(word):
            return "".join([*shown, _name_of(part), HIDDEN]), False
        is_last = place == len(parts) - 1 or part.endswith((".", ",", ";"))
        after = parts[place + 1 : place + 1 + WORDS_AFTER]
        if secrets.hides(word, after, is_last=is_last):
            shown.append(part.replace(word.core or part, HIDDEN, 1))
        else:
            shown.append(_shown(part))
        secrets.read(word)
    return "".join([*shown, text[end:]]), True


def is_plain(name: str) -> bool:
    return _shown(name) == name


def _name_of(part: str) -> str:
    """`password=` of `password=x`."""
    if within := secret_within(part):
        start, end = within
        before = _shown(part[:start]) if start else ""
        return before + part[start:end] + " " * (end == len(part))
    named = NAMED.match(part)
    return part[: named.start(2)] + (" " if named[2] == "" else "") if named else f"{part} "


@lru_cache(CACHED_PARTS)
def _shown(part: str) -> str:
    core = part.strip(AROUND)
    if not core or _is_short_word(core):
        return part
    return part.replace(core, _of_core(core), 1)


def _of_core(core: str) -> str:
    if core.isalpha():
        return core if _is_word(core) else HIDDEN
    if len(core) < MAX_KNOWN and any(each.fullmatch(core) for each in (UUID, TIME, DECIMAL)):
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
