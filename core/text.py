"""Unicode normalization: text that reads the same is compared as the same.

"ü" is one character or two, depending on the keyboard and the system. Whatever is looked up, is
unique, or decides whether a request is a repetition, is compared as NFC (Unicode Standard Annex
15). Text that is only shown stays as sent, and so do clients' secrets, which are bytes.
"""

import re
import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db.models import CharField, EmailField, Lookup, TextField
from django.db.models.expressions import Value
from django.db.models.functions import Lower
from django.db.models.lookups import (
    Contains,
    EndsWith,
    IContains,
    IEndsWith,
    IExact,
    IStartsWith,
    StartsWith,
)

MAX_NORMALIZED_LENGTH = 64 * 1024
"""Bytes up to which a search normalizes a text; longer ones are compared as they are."""


MARKS = "".join(
    chr(code)
    for code in (*range(0x300, 0xD800), *range(0xE000, 0x20000))
    if unicodedata.combining(unicodedata.normalize("NFD", chr(code))[0])
)
"""The combining characters: those that canonical ordering may move (a combining class above 0), and
three that decompose into such. None is outside the first two planes, nor can be an ideograph."""
MAX_MARKS = 30
"""Combining characters in a row that text may need, as the Stream-Safe Text Format has it (Unicode
Standard Annex 15 section 13). More are sorted before normalization."""
_LONG_RUN = re.compile(f"[{MARKS}]{{{MAX_MARKS + 1},}}")
_DECOMPOSED = {
    ord(mark): decomposed
    for mark in MARKS
    if (decomposed := unicodedata.normalize("NFD", mark)) != mark
}


def normalized(text: str) -> str:
    """The text in NFC, in time that grows with its length whatever is in it.

    Normalization puts combining characters in order by insertion, which for a hundred thousand in a
    row takes a minute in which this process does nothing else. Those in order already take no time,
    so long runs are sorted first: a stable sort is what canonical ordering is.

    Raise ValueError for a lone surrogate, which is no character.
    """
    if text.isascii():
        return text
    try:
        text.encode()  # far faster than checking each character
    except UnicodeEncodeError:
        raise ValueError("The text contains half of a surrogate pair.") from None
    return unicodedata.normalize("NFC", _LONG_RUN.sub(_in_canonical_order, text))


def _in_canonical_order(run: re.Match[str]) -> str:
    return "".join(sorted(run[0].translate(_DECOMPOSED), key=unicodedata.combining))


LONGEST_SPELLING = 4
"""Characters that one character in NFC may have been written with, at most (Unicode Standard Annex
15). So a text may be refused before it is normalized if it is that many times too long."""


def is_far_too_long(text: str, most: int | None) -> bool:
    """Whether the text exceeds `most` characters in whatever way it is normalized. Ask before
    anything that looks at each character: a caller may send a megabyte."""
    return most is not None and len(text) > LONGEST_SPELLING * most


def validate_printable(text: str) -> None:
    """Reject unprintable text: control characters forge log lines and drive terminals, invisible
    ones imitate other names."""
    if not text.isprintable():
        raise ValidationError("Use printable characters only.")


def folded(text: str) -> Lower:
    """An expression to compare with a column that is stored as lowercase NFC.

    PostgreSQL lowercases both sides, because Python does so differently for some characters.
    """
    return Lower(Value(normalized(text)))


class _TextLookup(Lookup):
    """Compares both sides regardless of case and Unicode form."""

    pattern = ""
    folded_column = "lower(organizations_normalized({column}::text))"

    def get_prep_lookup(self) -> str:
        return normalized(str(self.rhs))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, column_parameters = self.process_lhs(compiler, connection)
        text, parameters = self.process_rhs(compiler, connection)
        condition = self.pattern.format(
            column=self.folded_column.format(column=column), text=f"lower({text})"
        )
        return condition, (*column_parameters, *parameters)


@CharField.register_lookup
@TextField.register_lookup
class ContainsText(_TextLookup):
    """`name__contains_text`: a substring match without wildcards.

    To normalize a megabyte takes PostgreSQL a third of a second, fifty times as long as to search
    it. So ASCII, which is always NFC, and text longer than MAX_NORMALIZED_LENGTH are searched as
    they are.
    """

    lookup_name = "contains_text"
    folded_column = (
        f"(SELECT lower(CASE WHEN octet_length(value) > {MAX_NORMALIZED_LENGTH} "  # noqa: S608 - a constant
        "THEN value ELSE organizations_normalized(value) END) "
        "FROM (SELECT {column}::text AS value OFFSET 0) AS read_once)"
    )
    pattern = "strpos({column}, {text}) > 0"


@CharField.register_lookup
@TextField.register_lookup
class SameText(_TextLookup):
    lookup_name = "same_text"
    pattern = "{column} = {text}"


def same(one: str, other: str) -> bool:
    """Whether both are equal regardless of case and Unicode form."""
    return comparable(one) == comparable(other)


def comparable(text: str) -> str:
    """The text as a key for comparisons in memory, regardless of case and Unicode form."""
    return normalized(text).lower()


def normalized_password(password: str) -> str:
    """The password as every keyboard produces it: spaces become U+0020, then NFC (RFC 8265 section
    4.2.2, OpaqueString; NIST SP 800-63B-4 also asks for NFC). Case is kept."""
    spaced = (" " if unicodedata.category(each) == "Zs" else each for each in password)
    return normalized("".join(spaced))


UNSTABLE = frozenset({"Cc", "Cn", "Cs"})
"""Unicode categories: control characters, unassigned characters and surrogates. A later version of
Unicode may normalize an unassigned character differently, and the password would no longer work."""


def validate_stable(password: str) -> None:
    """Raise ValidationError for characters whose normalization may change, so that the password
    works forever (Unicode Standard Annex 15 section 12.1, stabilized strings; RFC 8265 section
    4.2.1)."""
    if any(unicodedata.category(character) in UNSTABLE for character in password):
        raise ValidationError(
            "The password has a control character, or one that Unicode does not know yet."
        )


class StablePasswordValidator:
    """validate_stable() as one of AUTH_PASSWORD_VALIDATORS."""

    def validate(self, password: str, user: object = None) -> None:
        validate_stable(password)

    def get_help_text(self) -> str:
        return "Control characters cannot be part of the password."


class _Normalized:
    """A model field that normalizes stored values and look-up values to NFC."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)  # type: ignore[misc]
        return normalized(value) if isinstance(value, str) else value

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)  # type: ignore[misc]
        return normalized(value) if isinstance(value, str) else value

    def deconstruct(self) -> Any:
        """Migrations see Django's own field, since the column is the same."""
        name, path, *rest = super().deconstruct()  # type: ignore[misc]
        return name, f"django.db.models.{path.rpartition('Normalized')[2]}", *rest

    def pre_save(self, instance: Any, add: bool) -> Any:
        """Also set the normalized value on the instance."""
        value = super().pre_save(instance, add)  # type: ignore[misc]
        if isinstance(value, str):
            value = normalized(value)
            setattr(instance, self.attname, value)  # type: ignore[attr-defined]
        return value


class NormalizedCharField(_Normalized, CharField):
    pass


class NormalizedEmailField(_Normalized, EmailField):
    pass


def _normalizing(lookup: type[Any]) -> type[Any]:
    """The look-up with its text normalized.

    Django calls get_prep_value() only for `exact` and `in`.
    """

    def get_prep_lookup(self: Any) -> Any:
        rhs = lookup.get_prep_lookup(self)
        return normalized(rhs) if isinstance(rhs, str) else rhs

    return type(lookup.__name__, (lookup,), {"get_prep_lookup": get_prep_lookup})


for _field in (NormalizedCharField, NormalizedEmailField):
    for _lookup in (Contains, IContains, StartsWith, IStartsWith, EndsWith, IEndsWith, IExact):
        _field.register_lookup(_normalizing(_lookup))


class _NormalizedInput(forms.CharField):
    """A form field whose text is in NFC. Text that is far too long is refused before that."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        if is_far_too_long(text, self.max_length):
            MaxLengthValidator(self.max_length or 0)(text)
        return normalized(text)


class TextInput(_NormalizedInput):
    """A form field for text that is compared or looked up."""


class NameInput(TextInput):
    """A form field for names and labels."""

    default_validators = [validate_printable]


class AddressInput(_NormalizedInput, forms.EmailField):
    """A form field for email addresses."""
