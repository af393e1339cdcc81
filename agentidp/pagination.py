"""One paginator for each API family; every list has a maximum."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from django.core.paginator import EmptyPage, Paginator
from django.http import QueryDict
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agentidp.errors import InvalidValue

MAXIMUM_PAGE = 100_000
MAXIMUM_OFFSET = 10_000_000


def whole_number(
    query: QueryDict, name: str, *, default: int, maximum: int, minimum: int = 1
) -> int:
    """A query parameter as an integer in these limits; 400 naming the field otherwise."""
    text = query.get(name)
    if text is None:
        return default
    is_number = text.isascii() and text.isdigit() and len(text) <= 9
    if not (is_number and minimum <= int(text) <= maximum):
        problem = f"Must be a whole number from {minimum} to {maximum}."
        raise InvalidValue(f"{name}: {problem}", **{name: [problem]})
    return int(text)


def refuse_others(query: QueryDict, known: Iterable[str]) -> None:
    """400 for a parameter that is unknown or given twice: a misspelled filter must not widen."""
    known = set(known)
    for name, values in query.lists():
        if name not in known:
            problem = "This parameter is unknown."
        elif len(values) > 1:
            problem = "Give this parameter once."
        else:
            continue
        raise InvalidValue(f"{name}: {problem}", **{name: [problem]})


PAGING = frozenset({"page", "limit", "format"})


class PagePagination(BasePagination):
    """`page` and `limit` → `{data, total, page, limit}`."""

    default_limit = 20
    maximum_limit = 100

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        self.read_page(request)
        paginator = Paginator(queryset, self.limit)
        self.total = paginator.count
        try:
            return list(paginator.page(self.page).object_list)
        except EmptyPage:
            return []

    def read_page(self, request: Request) -> None:
        """Set `page` and `limit` from the query; 400 naming the parameter for anything else."""
        query = request.query_params
        self.page = whole_number(query, "page", default=1, maximum=MAXIMUM_PAGE)
        self.limit = whole_number(
            query, "limit", default=self.default_limit, maximum=self.maximum_limit
        )

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "total": self.total, "page": self.page, "limit": self.limit})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        integer = {"type": "integer", "minimum": 0}
        return {
            "type": "object",
            "required": ["data", "total", "page", "limit"],
            "properties": {"data": schema, "total": integer, "page": integer, "limit": integer},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limits = {"page": MAXIMUM_PAGE, "limit": self.maximum_limit}
        defaults = {"page": 1, "limit": self.default_limit}
        return [
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


@dataclass(frozen=True)
class Slice:
    """`limit` and `offset` of the dashboard's lists, which say whether more follows."""

    limit: int
    offset: int

    @classmethod
    def read(cls, query: QueryDict, *, default: int, maximum: int) -> Self:
        return cls(
            whole_number(query, "limit", default=default, maximum=maximum),
            whole_number(query, "offset", default=0, minimum=0, maximum=MAXIMUM_OFFSET),
        )

    def of(self, rows: Any) -> Any:
        return rows[self.offset : self.offset + self.limit]

    def shortened(self, sizes: Iterable[int], most: int) -> Self:
        """The part of it whose rows, of these `sizes`, have `most` together, and at least one."""
        held = 0
        for number, size in enumerate(sizes):
            held += size
            if held > most and number:
                return replace(self, limit=number)
        return self

    def total(self, shown: Sequence[Any], count: Callable[[], int]) -> int:
        """How many rows there are, without counting where the page itself tells."""
        if 0 < len(shown) < self.limit or (not shown and not self.offset):
            return self.offset + len(shown)
        return count()

    def body(self, shown: Sequence[Any], total: int) -> dict[str, Any]:
        return {
            "limit": self.limit,
            "offset": self.offset,
            "has_more": self.offset + len(shown) < total,
        }
