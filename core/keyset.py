"""Lists that are read on from a row and not from a number: keyset paging.

A page begins after the row that ended the one before, in the order of the list. However many rows
come and go in front of it meanwhile, also of transactions that commit late, no row is read twice
and none is left out. A position that is counted from the first row knows nothing of that.

The cursor is the key of that row, signed. It opens the list that it was made for and no other.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn, Self
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db.models import F, OrderBy, Q
from django.http import QueryDict
from django.utils import timezone

from core.errors import InvalidValue

PARAMETER = "cursor"
MAX_CURSOR_LENGTH = 8000
"""With its name and the other parameters it fits into a query of 8192 bytes."""
POSITION = frozenset({PARAMETER, "page", "limit", "pp", "offset", "format", "seen"})
"""What a request for the next page may have changed; everything else says which list it is."""


@dataclass(frozen=True)
class Term:
    """One column, annotation or `relation__column` of an order."""

    name: str
    is_descending: bool = False
    is_nullable: bool = False
    """Rows without a value come last, in both directions."""

    def ordering(self, *, is_backwards: bool) -> str | OrderBy:
        is_descending = self.is_descending is not is_backwards
        if not self.is_nullable:
            return f"-{self.name}" if is_descending else self.name
        place = {"nulls_first": True} if is_backwards else {"nulls_last": True}
        return OrderBy(F(self.name), descending=is_descending, **place)

    def value_of(self, row: Any) -> Any:
        if isinstance(row, dict):
            return row[self.name]
        for name in self.name.split("__"):
            row = None if row is None else getattr(row, name)
        return row

    def same(self, value: Any) -> Q:
        return Q(**{f"{self.name}__isnull": True} if value is None else {self.name: value})

    def beyond(self, value: Any, *, is_backwards: bool) -> Q | None:
        """What comes after the value; None: nothing does."""
        if value is None:
            return Q(**{f"{self.name}__isnull": False}) if is_backwards else None
        comparison = "lt" if self.is_descending is not is_backwards else "gt"
        beyond = Q(**{f"{self.name}__{comparison}": value})
        if self.is_nullable and not is_backwards:
            beyond |= Q(**{f"{self.name}__isnull": True})
        return beyond


@dataclass(frozen=True)
class Cursor:
    """Where to read on."""

    key: tuple[Any, ...]
    """Of the last row of the page before; of the first one of the page after, backwards."""
    position: int
    """Of the page that it leads to, as its list counts: a page or an offset."""
    moment: float
    """When the first page was read, in Unix seconds: its "last 24 hours" are those of all pages."""
    is_backwards: bool = False


@dataclass(frozen=True)
class Keyset:
    """A total order: no two rows have the same values."""

    terms: tuple[Term, ...]

    @classmethod
    def of(cls, rows: Any) -> Self:
        """The order in which the rows already are; its columns are never NULL."""
        if isinstance(rows, Joined):
            return cls.by(*rows.ordering)
        return cls.by(*(rows.query.order_by or rows.query.get_meta().ordering))

    @classmethod
    def by(cls, *names: str) -> Self:
        """`name`, or `-name` for falling values."""
        return cls(tuple(Term(name.lstrip("-"), name.startswith("-")) for name in names))

    def key_of(self, row: Any) -> tuple[Any, ...]:
        return tuple(term.value_of(row) for term in self.terms)

    def in_order(self, rows: Any, *, is_backwards: bool = False) -> Any:
        return rows.order_by(*(term.ordering(is_backwards=is_backwards) for term in self.terms))

    def after(self, rows: Any, key: tuple[Any, ...], *, is_backwards: bool = False) -> Any:
        """The rows beyond the one with this key, the nearest first."""
        beyond = self._beyond(key, is_backwards=is_backwards)
        return self.in_order(rows.filter(beyond), is_backwards=is_backwards)

    def _beyond(self, key: tuple[Any, ...], *, is_backwards: bool) -> Q:
        alternatives: list[Q] = []
        alike = Q()
        for term, value in zip(self.terms, key, strict=True):
            past = term.beyond(value, is_backwards=is_backwards)
            if past is not None:
                alternatives.append(alike & past)
            alike &= term.same(value)
        found = alternatives[0]
        for each in alternatives[1:]:
            found |= each
        first, value = self.terms[0], key[0]
        if first.is_nullable or len(self.terms) == 1:
            return found
        # An index is entered at the first column's value only if that is said without an OR.
        edge = "lte" if first.is_descending is not is_backwards else "gte"
        return Q(**{f"{first.name}__{edge}": value}) & found


class ListKeyset(Keyset):
    """The order of rows that are a list in memory, because the database cannot put them in it."""

    def in_order(self, rows: Any, *, is_backwards: bool = False) -> Any:
        found = list(rows)
        for term in reversed(self.terms):  # sorting keeps the order of equal ones
            is_falling = term.is_descending is not is_backwards
            found.sort(key=term.value_of, reverse=is_falling)
        return found

    def after(self, rows: Any, key: tuple[Any, ...], *, is_backwards: bool = False) -> Any:
        return [
            row
            for row in self.in_order(rows, is_backwards=is_backwards)
            if self._is_beyond(self.key_of(row), key, is_backwards=is_backwards)
        ]

    def _is_beyond(
        self, values: tuple[Any, ...], key: tuple[Any, ...], *, is_backwards: bool
    ) -> bool:
        for term, value, other in zip(self.terms, values, key, strict=True):
            if value != other:
                return (value > other) is not (term.is_descending is not is_backwards)
        return False


@dataclass(frozen=True)
class Joined:
    """Querysets of the same columns as one list. Each is narrowed by itself: PostgreSQL joins what
    is left, and Django filters no UNION."""

    parts: tuple[Any, ...]
    ordering: tuple[str, ...]

    def filter(self, condition: Q) -> Self:
        return replace(self, parts=tuple(part.filter(condition) for part in self.parts))

    def order_by(self, *names: str) -> Self:
        return replace(self, ordering=names)

    def count(self) -> int:
        number: int = self._union.count()
        return number

    def __getitem__(self, rows: slice) -> Any:
        return self._union.order_by(*self.ordering)[rows]

    @property
    def _union(self) -> Any:
        first, *others = (part.order_by() for part in self.parts)
        return first.union(*others, all=True)


class Cursors:
    """Writes and reads the cursors of one list: of an address, an organization and its filters."""

    def __init__(self, path: str, organization: UUID, query: QueryDict) -> None:
        filters = sorted(each for each in query.lists() if each[0] not in POSITION)
        self._signer = Signer(salt=json.dumps(["cursor", path, str(organization), filters]))
        self._text = query.get(PARAMETER)

    def read(self) -> Cursor | None:
        """The cursor that the query has; 400 naming the parameter if it is not one of this list."""
        if self._text is None:
            return None
        cursor = self._opened(self._text)
        if cursor is None:
            refuse_cursor("Send it as it was answered, to the same address with the same filters.")
        return cursor

    def read_if_good(self) -> Cursor | None:
        """The request's cursor; None without a good one: a page shows the list, not an error."""
        return None if self._text is None else self._opened(self._text)

    def write(self, cursor: Cursor) -> str:
        fields = [
            [_packed(value) for value in cursor.key],
            cursor.position,
            cursor.moment,
            cursor.is_backwards,
        ]
        return self._signer.sign_object(fields, serializer=_Json)

    def _opened(self, text: str) -> Cursor | None:
        try:
            fields = self._signer.unsign_object(text, serializer=_Json)
        except BadSignature:
            return None
        key, position, moment, is_backwards = fields
        return Cursor(tuple(map(_unpacked, key)), position, moment, is_backwards)


def moment_now() -> float:
    return timezone.now().timestamp()


def refuse_cursor(problem: str) -> NoReturn:
    raise InvalidValue.of(PARAMETER, problem)


class _Json:
    """Shorter than Django's own for names that are not English."""

    def dumps(self, obj: Any) -> bytes:
        return json.dumps(obj, ensure_ascii=False, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


KINDS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "time": (datetime, datetime.isoformat, datetime.fromisoformat),
    "id": (UUID, str, UUID),
    "number": (Decimal, str, Decimal),
}
"""The values that JSON has no form for: their type, and how they become text and back."""


def _packed(value: Any) -> Any:
    for kind, (known, write, _) in KINDS.items():
        if isinstance(value, known):
            return {kind: write(value)}
    return value


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    return KINDS[kind][2](text)
