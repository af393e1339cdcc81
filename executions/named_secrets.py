"""Where a line of an error names a secret, and which of its words may then be one.

A word after the name of a secret, or after what says its value (`the password for ada is`), is
shown only if it is KNOWN: what such sentences say about secrets. The line is read once, word by
word, because engines send a thousand errors at once.
"""

import re
from functools import lru_cache
from typing import NamedTuple


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CACHED_WORDS = 1024
"""Engines repeat their words."""
AROUND = "()[]{}<>'\"`,.;:!?\u2018\u2019\u201a\u201c\u201d\u201e\xab\xbb\u2026*|\u2014\u2013"
"""Signs around a word that say nothing."""
AROUND_NAMES = AROUND + "=-"
OF_LANGUAGES = (
    "kennw(?:ort|\xf6rter)|passw(?:ort|\xf6rter)|geheimnis|zugangsdaten|kenncode"  # German
    "|passe|motdepasse|mdp|secrets?"  # French: mot de passe
    "|contrase(?:\xf1|n)as?|clave|secreto|credenciales"  # Spanish
    "|senhas?|segredo|palavra-passe|credenciais"  # Portuguese
    "|parola|segreto|credenziali"  # Italian; Romanian
    "|wachtwoord(?:en)?|geheim"  # Dutch
    "|has\u0142o|has\u0142a|haslo|heslo|jelsz\xf3|jelszo|parol\u0103"  # Polish, Czech, Hungarian
    "|l\xf6senord|losenord|passord|adgangskode|kodeord|salasana|tunnussana"  # of the North
    "|\u043f\u0430\u0440\u043e\u043b\u044c|\u043f\u0430\u0440\u043e\u043b|\u03ba\u03c9\u03b4\u03b9\u03ba\u03cc\u03c2"
    "|\u015fifre|sifre|parola"  # Turkish
)
"""The words for a password or a secret in the languages of Europe."""
SECRET = re.compile(
    r"pass(?:word|wd|phrase|code)?s?|pwd?|secrets?|tokens?|credentials?|authori[sz]ation|bearer"
    r"|cookies?|signature|mnemonic|(?:.*[_-])?(?:password|passwd|pwd|secret|token|auth)"
    r"|(?:.*[_-])?(?:api|access|private|secret|client|signing|account|shared)?[_-]?keys?|apikeys?|auth|pin|otp"
    rf"|.*(?:password|secret|apikey|accesskey|token)|{OF_LANGUAGES}",
    re.IGNORECASE,
)
"""Words after which a secret may follow."""
STEM = re.compile(
    "pass|pw|secret|token|cred|auth|bearer|cookie|signature|mnemonic|key|pin|otp"
    "|kenn|geheim|zugang|mdp|contrase|clave|senh|segr|parol|palavra|wachtw|has[\u0142l]|heslo"
    "|jelsz|senord|adgang|kodeord|salasana|tunnus|\u043f\u0430\u0440\u043e\u043b"
    "|\u03ba\u03c9\u03b4|[\u015fs]ifre"
)
"""What each of them contains in lower case: to find that takes a tenth of the time."""
PROGRAM = re.compile(
    r"\b(?:mysql\w*|mariadb(?:-\w+)?|sshpass|plink|pscp|psftp|7za?|zip|unzip|rar|unrar|mongo\w*"
    r"|ldap\w+|smbclient|cqlsh|docker login|isql|bcp|sqlcmd)\b",
    re.IGNORECASE,
)
"""Programs to which `-p` gives a password."""
OPTIONS = frozenset({"-p", "-P"})
OPTION = re.compile(r"-[pP][^\s-]\S*")
MAX_NAME = 80
NAME = re.compile(r"[\w.-]*")
VALUE_FOLLOWS = re.compile(r"""["'`]?(?:=>?|:(?![:/\\])|>)""")
"""After a name, anywhere in a part: of a connection string, a query, an element of XML."""
MAX_NAMES = 16
"""Names in one part that are looked at: of one with more, the rest is taken for a secret."""
QUALIFIERS = words(
    "secret seed recovery backup rescue security activation verification one-time login"
)
NOUNS = words("phrase phrases word words code codes string answer")
"""`recovery code` and `secret phrase` are secrets, though a code or a phrase is none."""
WORDS_BEFORE = 8
"""Between a secret's name and its value: `the password for the user ada was set to`."""
WORDS_AFTER = 4
"""Between a value and the name of its secret: `value x for the field password`."""
LINKS = words(
    "for of from on in at by with i you we they he she that which given provided sent used entered"
    " has had field header parameter variable value"
)
"""After the name, these may lead to what says the value: `for ada is`. `endpoint is` does not."""
SAYS = words(
    "is was are were be been isn't isn\u2019t wasn't wasn\u2019t equals = == => value"
    " ist war est es è é"
)
SAYS_IN_TWO = {
    "to": words("set changed reset equal"),
    "as": words("given sent entered stored"),
}
GOES_ON = words("is was set to not now still currently actually probably")
"""Words between what says the value and the value."""
KNOWN = words(
    """
    a an the this that these those it its my your our their his her i you we they he she one
    and or but nor so if when while then than because since until before after during for of
    from on in at by with without to into onto as via per about over under between within is
    was are were be been being isn't wasn't aren't weren't has have had hasn't haven't does
    do did don't doesn't didn't can cannot can't could couldn't may might must mustn't shall
    should shouldn't will won't would wouldn't not no never only also already still now yet
    again too very none null nil nan true false undefined empty blank missing present absent
    unset set reset changed change equal required optional needed available unavailable
    unknown known invalid valid wrong right incorrect bad malformed corrupt corrupted broken
    weak strong short shorter long longer old older new newer same different expired expires
    expiring stale outdated revoked rotated disabled enabled deleted removed blocked locked
    suspended active inactive rejected refused denied declined accepted allowed forbidden
    unauthorized unauthenticated authorized authenticated supported unsupported given
    provided supplied sent received entered used reused unused found lost read written
    stored saved loaded created issued signed unsigned encrypted decrypted hashed encoded
    decoded parsed verified validated checked compared matched match matches mismatch
    mismatched violates violated exists exist contains contain includes lacks failed fails
    failing fail failure failures error errors exception problem invalidates read-only
    write-only public private internal external temporary permanent request requests
    response endpoint server service provider issuer audience scope scopes scheme type types
    name names id ids identifier field fields header headers parameter parameters variable
    value values property attribute attributes column row table index constraint file files
    store storage vault path format length size count limit limits quota budget usage
    lifetime expiry expiration version policy rule rules check checks validation
    verification authentication authorization login logout sign signature exchange refresh
    rotation renewal introspection revocation lookup update generation encryption decryption
    hash hashing algorithm manager handler bucket user users account accounts client clients
    agent agents application session sessions database host network connection timeout time
    day days hour hours minute minutes second seconds characters bytes bits digits letters
    times attempts ago left which who whose what where there here however please try see use
    using more less most least fewer many much all any some each every both other another
    first last next previous ist war sind nicht falsch ungültig leer fehlt abgelaufen für
    der die das und est incorrecta incorrecto incorrecte invalide pour le la es válida para
    è errata non valida onjuist ongeldig voor
    """
)
"""What errors say about secrets. Anything else in the place of a value is taken for one."""
QUOTE = re.compile("^[(\\[]?[\"'`\u2018\u201a\u201c\u201e\xab]")
QUOTE_END = re.compile("[\"'`\u2019\u201c\u201d\xbb][)\\].,;:!?]*$")
NUMBER = re.compile(r"\d{1,10}")
COUNTED = re.compile(
    "days?|hours?|minutes?|seconds?|weeks?|months?|years?|characters?|chars?|letters?|digits?|words?"
    "|bytes?|bits?|times?|attempts?|[kKMG]B|ms|s",
)
"""After a number, what it counts: `the token is 3 days old`."""
KEYS = re.compile("keys?|tokens?", re.IGNORECASE)
"""Also names in data and in source text: `missing key 'name'`, `unexpected token 'else'`."""
KEY_OF = words("api access auth bearer client private refresh secret signing")
"""Before one of KEYS: it is a secret."""
CLAUSE_ENDS = (",", ".", ";", "!", "?")


class Word(NamedTuple):
    part: str
    core: str
    lower: str
    is_secret: bool
    begins: bool
    """Whether the part names a secret whose value follows in it."""
    ends_clause: bool


@lru_cache(CACHED_WORDS)
def word_of(part: str) -> Word:
    core = part.strip(AROUND)
    is_secret = _is_name(core.strip(AROUND_NAMES).removesuffix("'s"))
    begins = secret_within(part) is not None
    return Word(part, core, core.lower(), is_secret, begins, part.endswith(CLAUSE_ENDS))


NOTHING = Word("", "", "", is_secret=False, begins=False, ends_clause=False)


def names_secrets(line: str) -> bool:
    lower = line.lower()
    return STEM.search(lower) is not None or _has_options(lower) or _has_compound(lower)


def _has_options(lower: str) -> bool:
    return " -p" in lower and PROGRAM.search(lower) is not None


def _has_compound(lower: str) -> bool:
    has_noun = any(f" {noun}" in lower for noun in NOUNS)
    return has_noun and any(qualifier in lower for qualifier in QUALIFIERS)


def secret_within(part: str) -> tuple[int, int] | None:
    """Where the first name of a secret begins whose value follows it in the part, and where that
    begins.
    """
    lower = part.lower()
    if len(lower) != len(part) or not STEM.search(lower):
        lower = ""
    for number, found in enumerate(VALUE_FOLLOWS.finditer(part) if lower else ()):
        end = found.start()
        if number == MAX_NAMES:
            return end, found.end()
        before = part[max(0, end - MAX_NAME) : end]
        if STEM.search(before.lower()):
            length = NAME.match(before[::-1]).end()  # type: ignore[union-attr]
            if _is_name(before[len(before) - length :].rpartition(".")[2].lstrip("-")):
                return end - length, found.end()
    return None


def _is_name(text: str) -> bool:
    text = text[-MAX_NAME:]
    return STEM.search(text.lower()) is not None and SECRET.fullmatch(text) is not None


class Secrets:
    """Reads the words of a line in their order and says which of them may be secrets."""

    def __init__(self, line: str) -> None:
        self._has_options = _has_options(line.lower())
        self._place = 0
        self._before = self._second = NOTHING
        """The last word and the one before it."""
        self._secret = self._secret_before = -9
        """The places of the last two secrets."""
        self._is_quoted = self._is_run = False
        # The places of secrets, -1 for none: of the word before, of one that LINKS lead on from,
        # and of one whose value is said; `_..._before` is what they were a word earlier.
        self._named = self._named_before = -1
        self._linked = self._linked_before = -1
        self._said = self._said_before = -1
        self._spoken = ""
        self._counts: set[int] = set()

    def begins(self, word: Word) -> bool:
        """Whether the word names a secret and says that it follows: the rest of the line is it."""
        if word.begins:
            return True
        if word.part in {"=", ":", "=>"}:
            return self._before.is_secret
        return word.lower in NOUNS and word.part[-1] in ":=" and self._before.lower in QUALIFIERS

    def hides(self, word: Word, after: list[str], *, is_last: bool) -> bool:
        """Whether the word may be a secret that the words before announce, or those after it."""
        hidden = self._is_quoted or self._is_announced(word, after, is_last)
        if hidden:
            opens = self._is_quoted or QUOTE.match(word.part) is not None
            self._is_quoted = opens and not QUOTE_END.search(word.part)
            self._is_run = not opens and not word.ends_clause
        else:
            self._is_run = False
        return hidden

    def _is_announced(self, word: Word, after: list[str], is_last: bool) -> bool:
        """`Bearer x`, `API key provided: x`, `the pin was x`, `value x for password`."""
        before = self._before
        if self._has_options and (before.part in OPTIONS or OPTION.fullmatch(word.part)):
            return True
        if self._is_run and word.core.isalpha() and word.lower not in KNOWN:
            return not word.is_secret  # a secret of several words
        is_named = before.is_secret or (before.lower in NOUNS and self._second.lower in QUALIFIERS)
        if is_named and not before.part.endswith((",", ".", ";")):
            return self._follows(word, before)
        if is_last and before.part.endswith((":", "=")):
            last = self._secret_before if before.is_secret else self._secret
            if last >= self._place - 4:
                return True
        return self._is_said(word, after)

    def _follows(self, word: Word, before: Word) -> bool:
        """Whether what directly follows the name of a secret may be it."""
        if before.part.startswith("-"):
            return True
        if QUOTE.match(word.part):
            is_data = KEYS.fullmatch(before.core) and self._second.lower not in KEY_OF
            return not is_data
        return not (word.lower in KNOWN or word.is_secret) and bool(word.core)

    def _is_said(self, word: Word, after: list[str]) -> bool:
        said = self._said
        if said >= 0 and said < self._place - WORDS_BEFORE:
            said = -1
        if said in self._counts and NUMBER.fullmatch(word.core):
            said = -1  # `tokens` and a number are a count
        if said < 0:
            is_named = self._before.lower in {"value", "input"} and after[:1] == ["for"]
            if not (is_named and any(word_of(each).is_secret for each in after)):
                return False
        return _is_value(word, after)

    def read(self, word: Word) -> None:
        """Go on to the next word."""
        place, self._place = self._place, self._place + 1
        self._second, self._before = self._before, word
        if word.is_secret:
            self._secret_before, self._secret = self._secret, place
        if word.core:
            self._link(word, place)
        if word.ends_clause:
            self._named = self._named_before = self._linked = self._linked_before = -1
            self._said = self._said_before = -1

    def _link(self, word: Word, place: int) -> None:
        lower, said = word.lower, -1
        if lower in SAYS:
            said = max(self._named, self._linked)
        if lower in GOES_ON:
            said = max(said, self._said)
        if lower in SAYS_IN_TWO and self._spoken in SAYS_IN_TWO[lower]:
            said = max(said, self._named_before, self._linked_before, self._said_before)
        self._said_before, self._said = self._said, said
        self._linked_before = self._linked
        if lower in LINKS and self._named >= 0:
            self._linked = self._named
        self._named_before, self._named = self._named, place if word.is_secret else -1
        if word.part.lower() == "tokens":
            self._counts.add(place)
        self._spoken = lower


def _is_value(word: Word, after: list[str]) -> bool:
    """Whether the word is a value rather than what a sentence says about one."""
    if NUMBER.fullmatch(word.core) and after and COUNTED.fullmatch(after[0].strip(AROUND)):
        return False
    return bool(word.core) and (QUOTE.match(word.part) is not None or word.lower not in KNOWN)
