"""Keyset pagination: a page begins after the last row of the page before it, in the list's order.

No row is returned twice or skipped, however many rows are inserted or deleted meanwhile, even by
transactions that commit late. An offset cannot promise that. The cursor is the key of that last
row, signed; it is valid only for the list it was issued for.
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
"""Fits into a query of 8192 bytes together with its name and the other parameters."""
POSITION = frozenset({PARAMETER, "page", "limit", "pp", "offset", "format", "seen"})
"""Parameters that may differ between pages. The others are signed with the cursor."""


@dataclass(frozen=True)
class Term:
    """A column, annotation or `relation__column` to order by."""

    name: str
    is_descending: bool = False
    is_nullable: bool = False
    """NULLs come last in both directions."""

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
        """A condition for rows after the value, or None if there are none."""
        if value is None:
            return Q(**{f"{self.name}__isnull": False}) if is_backwards else None
        comparison = "lt" if self.is_descending is not is_backwards else "gt"
        beyond = Q(**{f"{self.name}__{comparison}": value})
        if self.is_nullable and not is_backwards:
            beyond |= Q(**{f"{self.name}__isnull": True})
        return beyond


@dataclass(frozen=True)
class Cursor:
    """The position at which a page begins."""

    key: tuple[Any, ...]
    """The key of the last row of the page before; backwards, of the first row of the page after."""
    position: int
    """The number of the page it leads to, in the list's own unit: a page or an offset."""
    moment: float
    """When the first page was read, in Unix seconds: "last 24 hours" is the same for all pages."""
    is_backwards: bool = False
    pinned: str | None = None
    """What else the first page settled for all pages, in the list's own words."""


@dataclass(frozen=True)
class Keyset:
    """A total order: no two rows have the same key."""

    terms: tuple[Term, ...]

    @classmethod
    def of(cls, rows: Any) -> Self:
        """The existing order of a queryset, whose columns must not be nullable."""
        if isinstance(rows, Joined):
            return cls.by(*rows.ordering)
        return cls.by(*(rows.query.order_by or rows.query.get_meta().ordering))

    @classmethod
    def by(cls, *names: str) -> Self:
        """An order by `name` ascending, or `-name` descending."""
        return cls(tuple(Term(name.lstrip("-"), name.startswith("-")) for name in names))

    def key_of(self, row: Any) -> tuple[Any, ...]:
        return tuple(term.value_of(row) for term in self.terms)

    def in_order(self, rows: Any, *, is_backwards: bool = False) -> Any:
        return rows.order_by(*(term.ordering(is_backwards=is_backwards) for term in self.terms))

    def after(self, rows: Any, key: tuple[Any, ...], *, is_backwards: bool = False) -> Any:
        """The rows after the one with this key, in order; backwards, before it, nearest first."""
        beyond = self._beyond(key, is_backwards=is_backwards)
        return self.in_order(rows.filter(beyond), is_backwards=is_backwards)

    def _beyond(self, key: tuple[Any, ...], *, is_backwards: bool) -> Q:
        alternatives: list[Q] = []
        equal_so_far = Q()
        for term, value in zip(self.terms, key, strict=True):
            beyond = term.beyond(value, is_backwards=is_backwards)
            if beyond is not None:
                alternatives.append(equal_so_far & beyond)
            equal_so_far &= term.same(value)
        condition = alternatives[0]
        for each in alternatives[1:]:
            condition |= each
        first, value = self.terms[0], key[0]
        if first.is_nullable or len(self.terms) == 1:
            return condition
        # PostgreSQL uses an index on the first column only if its bound is stated without an OR.
        edge = "lte" if first.is_descending is not is_backwards else "gte"
        return Q(**{f"{first.name}__{edge}": value}) & condition


class ListKeyset(Keyset):
    """The order of rows in memory, for an order that the database cannot produce."""

    def in_order(self, rows: Any, *, is_backwards: bool = False) -> Any:
        ordered = list(rows)
        for term in reversed(self.terms):  # sorting is stable
            is_falling = term.is_descending is not is_backwards
            ordered.sort(key=term.value_of, reverse=is_falling)
        return ordered

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
    """Querysets with the same columns, read as one list.

    Each is filtered by itself before the UNION, because Django cannot filter a union.
    """

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
    """Writes and reads the cursors of one list, identified by path, organization and filters."""

    def __init__(self, path: str, organization: UUID, query: QueryDict) -> None:
        filters = sorted(each for each in query.lists() if each[0] not in POSITION)
        self._signer = Signer(salt=json.dumps(["cursor", path, str(organization), filters]))
        self._text = query.get(PARAMETER)

    def read(self) -> Cursor | None:
        """The cursor in the query, if any.

        Raise InvalidValue if it was not issued for this list.
        """
        if self._text is None:
            return None
        cursor = self._unsign(self._text)
        if cursor is None:
            refuse_cursor("Send it unchanged, to the same path with the same filters.")
        return cursor

    def read_if_good(self) -> Cursor | None:
        """The cursor in the query, or None if it is invalid: a page then shows the list."""
        return None if self._text is None else self._unsign(self._text)

    def write(self, cursor: Cursor) -> str:
        fields = [
            [_to_json(value) for value in cursor.key],
            cursor.position,
            cursor.moment,
            cursor.is_backwards,
            *([] if cursor.pinned is None else [cursor.pinned]),
        ]
        return self._signer.sign_object(fields, serializer=_Json)

    def _unsign(self, text: str) -> Cursor | None:
        try:
            fields = self._signer.unsign_object(text, serializer=_Json)
        except BadSignature:
            return None
        key, *others = fields
        return Cursor(tuple(map(_from_json, key)), *others)


def moment_now() -> float:
    return timezone.now().timestamp()


def refuse_cursor(problem: str) -> NoReturn:
    raise InvalidValue.of(PARAMETER, problem)


class _Json:
    """A serializer for Signer that is shorter than Django's for non-ASCII text."""

    def dumps(self, obj: Any) -> bytes:
        return json.dumps(obj, ensure_ascii=False, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


KINDS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "time": (datetime, datetime.isoformat, datetime.fromisoformat),
    "id": (UUID, str, UUID),
    "number": (Decimal, str, Decimal),
}
"""Types without a JSON form, and the functions that convert them to text and back."""


def _to_json(value: Any) -> Any:
    for kind, (value_type, write, _) in KINDS.items():
        if isinstance(value, value_type):
            return {kind: write(value)}
    return value


def _from_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    return KINDS[kind][2](text)
