"""Text that reads the same is the same: one Unicode form for all that is compared.

"ü" is one character or two, by the keyboard and the system that it comes from. Whatever is looked
up, is unique, or decides whether a request is the same again, is compared as NFC (Unicode Standard
Annex 15). What is only shown stays as it was sent, and so do secrets of programs, which are bytes.
"""

import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
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
"""Bytes of a text that a search compares in any Unicode form; a longer one in its own."""


def normalized(text: str) -> str:
    """NFC. ValueError for half of a surrogate pair: it is no character, and has no form."""
    try:
        text.encode()  # far faster than a look at each character
    except UnicodeEncodeError:
        raise ValueError("The text contains half of a character.") from None
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> Lower:
    """What a column of text that is kept folded, as NFC in small letters, is compared with. The
    database makes the letters small on both sides: others have another idea of some of them."""
    return Lower(Value(normalized(text)))


class _TextLookup(Lookup):
    """Regardless of case and of the Unicode form, on both sides."""

    pattern = ""
    folded_column = "lower(normalize({column}::text))"

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
    """`name__contains_text`: the text is a part of it; no character of it is a wildcard.

    To normalize a megabyte takes PostgreSQL a third of a second, to look through it a fiftieth of
    that: ASCII is NFC as it is, and what is longer than MAX_NORMALIZED_LENGTH is taken as it is.
    """

    lookup_name = "contains_text"
    folded_column = (
        "(SELECT lower(CASE WHEN octet_length(told) = char_length(told) "  # noqa: S608 - a constant
        f"OR octet_length(told) > {MAX_NORMALIZED_LENGTH} THEN told ELSE normalize(told) END) "
        "FROM (SELECT {column}::text AS told OFFSET 0) AS read_once)"
    )
    pattern = "strpos({column}, {text}) > 0"


@CharField.register_lookup
@TextField.register_lookup
class SameText(_TextLookup):
    lookup_name = "same_text"
    pattern = "{column} = {text}"


def same(one: str, other: str) -> bool:
    """Regardless of case and of the Unicode form."""
    return comparable(one) == comparable(other)


def comparable(text: str) -> str:
    """What to compare and to look up by in memory: regardless of case and of the Unicode form."""
    return normalized(text).lower()


def normalized_password(password: str) -> str:
    """As all keyboards give it: RFC 8265, section 4.2.2 (OpaqueString). Any space is a plain one,
    then NFC, which NIST SP 800-63B-4 asks for as well; upper and lower case stay."""
    spaced = (" " if unicodedata.category(each) == "Zs" else each for each in password)
    return normalized("".join(spaced))


UNSTABLE = frozenset({"Cc", "Cn", "Cs"})
"""Unicode categories: control characters, unassigned ones and surrogates. Another version of
Unicode may give an unassigned character another form, and the password would open nothing."""


def validate_stable(password: str) -> None:
    """ValidationError for what a password must not have, so that it is the same for ever (Unicode
    Standard Annex 15, section 12.1, stabilized strings; RFC 8265, section 4.2.1)."""
    if any(unicodedata.category(character) in UNSTABLE for character in password):
        raise ValidationError(
            "The password has a control character, or one that Unicode does not know yet."
        )


class StablePasswordValidator:
    """`validate_stable` among AUTH_PASSWORD_VALIDATORS."""

    def validate(self, password: str, user: object = None) -> None:
        validate_stable(password)

    def get_help_text(self) -> str:
        return "Control characters cannot be part of the password."


class _Normalized:
    """A column of text that is compared: what is stored, and what it is compared with, is NFC."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)  # type: ignore[misc]
        return normalized(value) if isinstance(value, str) else value

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)  # type: ignore[misc]
        return normalized(value) if isinstance(value, str) else value

    def deconstruct(self) -> Any:
        """For the database, and so for migrations, it is a column like others."""
        name, path, *rest = super().deconstruct()  # type: ignore[misc]
        return name, f"django.db.models.{path.rpartition('Normalized')[2]}", *rest

    def pre_save(self, instance: Any, add: bool) -> Any:
        """The row in memory says what the database says."""
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
    """The lookup, whose text becomes NFC: Django prepares that of `exact` and `in` alone."""

    def get_prep_lookup(self: Any) -> Any:
        rhs = lookup.get_prep_lookup(self)
        return normalized(rhs) if isinstance(rhs, str) else rhs

    return type(lookup.__name__, (lookup,), {"get_prep_lookup": get_prep_lookup})


for _field in (NormalizedCharField, NormalizedEmailField):
    for _lookup in (Contains, IContains, StartsWith, IStartsWith, EndsWith, IEndsWith, IExact):
        _field.register_lookup(_normalizing(_lookup))


class TextInput(forms.CharField):
    """A form's field for text that is compared, or looked up."""

    def to_python(self, value: Any) -> Any:
        return normalized(super().to_python(value) or "")


class AddressInput(forms.EmailField):
    def to_python(self, value: Any) -> Any:
        return normalized(super().to_python(value) or "")
