"""One paginator per API family.

Every list has a maximum page size and a cursor for the next page.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Self
from uuid import UUID

from django.http import QueryDict
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView

from core.keyset import (
    MAX_CURSOR_LENGTH,
    PARAMETER,
    Cursor,
    Cursors,
    Keyset,
    moment_now,
    refuse_cursor,
)
from core.long_responses import ROWS_PER_FETCH
from core.parameters import whole_number

MAX_PAGE = 100_000
MAX_OFFSET = 10_000_000


PAGING = frozenset({"page", "limit", PARAMETER, "format"})
SizeOf = Callable[[Any], int]
MAX_LINK_LENGTH = 2000
"""Proxies limit the size of response headers. Without a link, the body still has the cursor."""
CURSOR_DESCRIPTION = (
    "Continue after an earlier page: send its {field} with the same filters, instead of "
    "`{instead}`."
)


def read_cursor(query: QueryDict, cursors: Cursors, instead: str) -> Cursor | None:
    """The cursor in the query. Raise InvalidValue if the parameter `instead` is given as well."""
    if PARAMETER in query and instead in query:
        refuse_cursor(f"Give either {instead} or cursor.")
    return cursors.read()


def next_link(request: Request, cursor: str | None, instead: str) -> dict[str, str]:
    """The Link header to the next page (RFC 8288); empty after the last one."""
    if cursor is None:
        return {}
    here = remove_query_param(request.build_absolute_uri(), instead)
    link = f'<{replace_query_param(here, PARAMETER, cursor)}>; rel="next"'
    return {"Link": link} if len(link) <= MAX_LINK_LENGTH else {}


class PagePagination(BasePagination):
    """`page` and `limit`, or `cursor` and `limit` → `{data, total, page, limit, nextCursor}`."""

    default_limit = 20
    maximum_limit = 100

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        self.request = request
        organization = view.organization  # type: ignore[union-attr]
        self.cursors = Cursors(request.path, organization.pk, request.query_params)
        self.read_page(request)
        self.total = self.count(queryset, organization)
        keyset = Keyset.of(queryset)
        rows = keyset.after(queryset, self.cursor.key) if self.cursor else self.from_page(queryset)
        fetched = list(rows[: self.limit + 1])
        self.next_cursor = None
        if len(fetched) > self.limit:
            moment = self.cursor.moment if self.cursor else moment_now()
            key = keyset.key_of(fetched[self.limit - 1])
            self.next_cursor = self.cursors.write(Cursor(key, self.page + 1, moment))
        return fetched[: self.limit]

    def read_page(self, request: Request) -> None:
        """Set `page`, `limit` and `cursor` from the query. Raise InvalidValue for anything else."""
        query = request.query_params
        self.limit = whole_number(
            query, "limit", default=self.default_limit, maximum=self.maximum_limit
        )
        self.page = whole_number(query, "page", default=1, maximum=MAX_PAGE)
        self.cursor = read_cursor(query, self.cursors, "page")
        if self.cursor:
            self.page = self.cursor.position

    def count(self, queryset: Any, organization: Any) -> int:
        """The number of rows on all pages at this moment."""
        number: int = queryset.count()
        return number

    def from_page(self, queryset: Any) -> Any:
        """The rows from the start of `page` on."""
        return queryset[(self.page - 1) * self.limit : self.page * self.limit + 1]

    def get_paginated_response(self, data: Any) -> Response:
        body = {
            "data": data,
            "total": self.total,
            "page": self.page,
            "limit": self.limit,
            "nextCursor": self.next_cursor,
        }
        return Response(body, headers=next_link(self.request, self.next_cursor, "page"))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        integer = {"type": "integer", "minimum": 0, "example": 1}
        cursor = {
            "type": "string",
            "nullable": True,
            "description": "Send it as `cursor` to get the next page. null on the last page.",
            "example": None,
        }
        properties = {
            "data": schema,
            "total": integer,
            "page": integer,
            "limit": {**integer, "example": self.default_limit},
            "nextCursor": cursor,
        }
        return {"type": "object", "required": list(properties), "properties": properties}

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limits = {"page": MAX_PAGE, "limit": self.maximum_limit}
        defaults = {"page": 1, "limit": self.default_limit}
        numbers = [
            {
                "name": name,
                "in": "query",
                "required": False,
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": maximum,
                    "default": defaults[name],
                },
            }
            for name, maximum in limits.items()
        ]
        cursor = {
            "name": PARAMETER,
            "in": "query",
            "required": False,
            "description": CURSOR_DESCRIPTION.format(field="`nextCursor`", instead="page"),
            "schema": {"type": "string", "maxLength": MAX_CURSOR_LENGTH},
        }
        return [*numbers, cursor]


@dataclass(frozen=True)
class Slice:
    """`limit` with `offset` or `cursor`, for the dashboard's lists, which say if more follows."""

    request: Request
    cursors: Cursors
    limit: int
    offset: int
    cursor: Cursor | None
    moment: float
    """When the first page was read, in Unix seconds: the end of "the last hours"."""

    @classmethod
    def read(cls, request: Request, organization: UUID, *, default: int, maximum: int) -> Self:
        query = request.query_params
        cursors = Cursors(request.path, organization, query)
        limit = whole_number(query, "limit", default=default, maximum=maximum)
        offset = whole_number(query, "offset", default=0, minimum=0, maximum=MAX_OFFSET)
        cursor = read_cursor(query, cursors, "offset")
        if cursor:
            return cls(request, cursors, limit, cursor.position, cursor, cursor.moment)
        return cls(request, cursors, limit, offset, None, moment_now())

    def of(self, rows: Any, keyset: Keyset) -> Any:
        """The rows of the page, and one more if there is a next page."""
        if self.cursor:
            return keyset.after(rows, self.cursor.key)[: self.limit + 1]
        return keyset.in_order(rows)[self.offset : self.offset + self.limit + 1]

    def shortened(self, sizes: Iterable[int], most: int) -> Self:
        """The slice with a lower limit, so that rows of these `sizes` add up to at most `most`, but
        with at least one row."""
        held = 0
        for number, size in enumerate(sizes):
            held += size
            if held > most and number:
                return replace(self, limit=min(number, self.limit))
        return self

    def page_of_bytes(
        self, rows: Any, keyset: Keyset, most: int, size_of: SizeOf = attrgetter("size")
    ) -> "Found":
        """A page with a lower limit if its rows would be more bytes than `most`. No rows beyond are
        held in memory.
        """
        fetched, held = [], 0
        for row in self.of(rows, keyset).iterator(ROWS_PER_FETCH):
            fetched.append(row)
            held += size_of(row)
            if held > most and len(fetched) > 1:
                break
        is_cut = held > most and len(fetched) > 1
        limit = min(self.limit, len(fetched) - 1) if is_cut else self.limit
        return replace(self, limit=limit)._found(fetched, keyset)

    def page(self, rows: Any, keyset: Keyset) -> "Found":
        return self._found(list(self.of(rows, keyset)), keyset)

    def _found(self, fetched: list[Any], keyset: Keyset) -> "Found":
        """The page, of its rows and one more if there is a next page."""
        if len(fetched) <= self.limit:
            return Found(self, fetched, None)
        key = keyset.key_of(fetched[self.limit - 1])
        following = Cursor(key, self.offset + self.limit, self.moment)
        return Found(self, fetched[: self.limit], self.cursors.write(following))


@dataclass(frozen=True)
class Found:
    """The rows of a slice and the cursor of the next one, None after the last row."""

    asked: Slice
    rows: list[Any]
    next_cursor: str | None

    def total(self, count: Callable[[], int]) -> int:
        """The total number of rows; `count` is called only if the page does not already show it."""
        asked, number = self.asked, len(self.rows)
        if asked.cursor is None and not self.next_cursor and (number or not asked.offset):
            return asked.offset + number
        return count()

    @property
    def body(self) -> dict[str, Any]:
        return {
            "limit": self.asked.limit,
            "offset": self.asked.offset,
            "has_more": self.next_cursor is not None,
            "next_cursor": self.next_cursor,
        }

    @property
    def headers(self) -> dict[str, str]:
        return next_link(self.asked.request, self.next_cursor, "offset")
