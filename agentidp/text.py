"""Text that reads the same is the same: one Unicode form for all that is compared.

"ü" is one character or two, by the keyboard and the system that it comes from. Whatever is looked
up, is unique, or decides whether a request is the same again, is compared as NFC (Unicode Standard
Annex 15). What is only shown stays as it was sent, and so do secrets of programs, which are bytes.
"""

import unicodedata
from typing import Any

from django.db.models import CharField, Lookup, TextField
from django.db.models.expressions import Value
from django.db.models.functions import Lower


def normalized(text: str) -> str:
    """NFC. ValueError for half of a surrogate pair: it is no character, and has no form."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("The text contains half of a character.")
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> Lower:
    """What a column of text that is kept folded, as NFC in small letters, is compared with. The
    database makes the letters small on both sides: others have another idea of some of them."""
    return Lower(Value(normalized(text)))


class _TextLookup(Lookup):
    """Regardless of case and of the Unicode form, on both sides."""

    pattern = ""

    def get_prep_lookup(self) -> str:
        return normalized(str(self.rhs))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, column_parameters = self.process_lhs(compiler, connection)
        text, parameters = self.process_rhs(compiler, connection)
        condition = self.pattern.format(
            column=f"lower(normalize({column}::text))", text=f"lower({text})"
        )
        return condition, (*column_parameters, *parameters)


@CharField.register_lookup
@TextField.register_lookup
class ContainsText(_TextLookup):
    """`name__contains_text`: the text is a part of it; no character of it is a wildcard."""

    lookup_name = "contains_text"
    pattern = "strpos({column}, {text}) > 0"


@CharField.register_lookup
@TextField.register_lookup
class SameText(_TextLookup):
    lookup_name = "same_text"
    pattern = "{column} = {text}"
