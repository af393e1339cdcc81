"""Lists on pages: filters in the URL, which also read as a sentence, and paging."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from core.keyset import Cursor, Cursors, Keyset, moment_now
from core.parameters import is_whole_number
from core.time_zones import known_time_zones
from pages.decorators import OrganizationRequest

PAGE_SIZE = 50
MAX_TEXT_LENGTH = 255
"""For a filter in the URL: the length of the longest address that one can name."""
COUNTED_AT_MOST = 10_000
PLACE = frozenset({"page", "cursor"})
"""The parameters that select a page of a list; they mean nothing to another list."""
NOT_COMPARED = "no"
"""The value of the parameter `compare` that hides the period before."""
VIEW, EVERYTHING = "view", "all"
"""The parameter that names the saved view of a list, and its value for none."""
Choices = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Filter:
    """A filter: a fixed set of choices, or `kind` text, date, number or id."""

    name: str
    label: str
    choices: Choices = ()
    kind: str = "choice"
    verb: str = "is"
    is_in_menu: bool = True
    title: str = ""
    """The label in the menu, where it differs from the label in the sentence."""
    maximum: int = 0
    """The highest number that `number` accepts."""

    def clean(self, text: str) -> str:
        """The value; empty if it is invalid, because a page shows more rather than an error."""
        text = text.strip()[:MAX_TEXT_LENGTH]
        if self.kind == "choice":
            return text if text in dict(self.choices) else ""
        if self.kind == "number":
            return text if is_whole_number(text, maximum=self.maximum) else ""
        try:
            if self.kind == "date" and text:
                return date.fromisoformat(text).isoformat()
            if self.kind == "id" and text:
                return str(UUID(text))
        except ValueError:
            return ""
        return text if text.isprintable() else ""

    def word(self, value: str) -> str:
        return dict(self.choices).get(value, value)


@dataclass(frozen=True)
class ListFilters:
    """The filters in the URL. `words` maps values to their labels."""

    request: HttpRequest
    known: tuple[Filter, ...]
    values: dict[str, str]
    words: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, request: HttpRequest, *known: Filter) -> Self:
        values = {each.name: each.clean(request.GET.get(each.name, "")) for each in known}
        return cls(request, known, {name: value for name, value in values.items() if value})

    def get(self, name: str) -> str:
        """The value, or empty. Not `filters[name]`, which a template would use to look up
        attributes.
        """
        return self.values.get(name, "")

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def chips(self) -> list[dict[str, Any]]:
        return [
            {
                "subject": each.label,
                "verb": each.verb,
                "values": [self.words.get(each.name) or each.word(self.values[each.name])],
                "remove_url": self.url_without(each.name),
            }
            for each in self.known
            if each.name in self.values
        ]

    @property
    def fields(self) -> list[dict[str, Any]]:
        """The fields of the filter menu."""
        return [
            {
                "name": each.name,
                "label": each.title or each.label.capitalize(),
                "kind": each.kind,
                "choices": each.choices,
                "maximum": each.maximum,
                "value": self.get(each.name),
            }
            for each in self.known
            if each.is_in_menu
        ]

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The URL's other parameters, which the filter menu must keep."""
        asked = {each.name for each in self.known if each.is_in_menu} | PLACE
        return _pairs(self.request, asked)

    def state(self) -> list[tuple[str, str]]:
        """What a saved view of the list keeps: the filters and the zone."""
        zone = self.request.GET.get("tz", "")
        return [*self.values.items(), *([("tz", zone)] if zone in known_time_zones() else [])]

    def url_without(self, *names: str) -> str:
        query = self.request.GET.copy()
        for name in (*names, *PLACE):
            query.pop(name, None)
        if view := view_of(self.request):
            query[VIEW] = view
        return f"{self.request.path}?{query.urlencode()}" if query else self.request.path

    @property
    def clear_url(self) -> str:
        return self.url_without(*(each.name for each in self.known))


def _pairs(request: HttpRequest, without: Iterable[str]) -> list[tuple[str, str]]:
    dropped = {*without, VIEW}
    found = [
        (name, str(value))
        for name, values in request.GET.lists()
        for value in values
        if name not in dropped
    ]
    view = view_of(request)
    return [*found, (VIEW, view)] if view else found


def view_of(request: HttpRequest) -> str:
    """The saved view that the links and forms of a list keep.

    It is "all" where there is none but the person's list opens with one: without any parameter a
    link that removes the last filter would lead to that view.
    """
    given = request.GET.get(VIEW, "")
    if given == EVERYTHING or Filter(VIEW, VIEW, kind="id").clean(given):
        return given
    return EVERYTHING if getattr(request, "opens_with_view", False) else ""


def search_hidden(request: HttpRequest) -> list[tuple[str, str]]:
    """The URL's parameters that a search must keep."""
    return _pairs(request, {"q", *PLACE})


def sort_of(request: HttpRequest, allowed: Iterable[str], default: str) -> str:
    """The URL's sort key such as `tokens` or `-tokens`, if allowed, otherwise the default."""
    wanted = request.GET.get("sort", "")
    return wanted if wanted.removeprefix("-") in set(allowed) else default


class CountedPaginator(Paginator):
    """A paginator for rows that have already been counted."""

    def __init__(self, rows: Any, total: int, size: int = PAGE_SIZE) -> None:
        super().__init__(rows, size)
        self.total = total

    @property
    def count(self) -> int:
        return self.total


class CappedPaginator(Paginator):
    """Counts only up to a limit: an exact count of millions of rows would be a full scan."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return min(self._found, COUNTED_AT_MOST)

    @cached_property
    def _found(self) -> int:
        return self.object_list.order_by()[: COUNTED_AT_MOST + 1].count()

    @property
    def is_capped(self) -> bool:
        return self._found > COUNTED_AT_MOST


class ListPage(Page[Any]):
    """A page with cursors to its neighbours, so that nothing repeats while rows come and go."""

    next_cursor: str | None = None
    previous_cursor: str | None = None

    def has_next(self) -> bool:
        return self.next_cursor is not None

    def next_page_number(self) -> int:
        return self.number + 1

    def previous_page_number(self) -> int:
        """Django's would fail two pages beyond the counted rows."""
        return self.number - 1

    def end_index(self) -> int:
        return self.start_index() + max(len(self.object_list), 1) - 1

    def start_index(self) -> int:
        return (self.number - 1) * self.paginator.per_page + bool(self.paginator.count)


def page_of(
    request: OrganizationRequest,
    rows: Any,
    *,
    keyset: Keyset | None = None,
    paginator: "Paginator[Any] | None" = None,
    is_counted: bool = True,
    moment: float | None = None,
    pinned: str | None = None,
) -> ListPage:
    """The page selected by the URL's cursor or number.

    Invalid text selects the first page, a number beyond the end the last. `keyset` defaults to the
    order of the rows; `moment` is the time, in Unix seconds, of their snapshot; what is `pinned`
    goes along to the other pages, where pinned_of() has it.
    """
    paginator = paginator or (Paginator if is_counted else CappedPaginator)(rows, PAGE_SIZE)
    keyset = keyset or Keyset.of(rows)
    cursors = _cursors_of(request)
    cursor = cursors.read_if_good()
    found, number, has_next = _rows_of(request, rows, keyset, paginator, cursor)
    page = ListPage(found, number, paginator)
    if moment is None:
        moment = cursor.moment if cursor else moment_now()
    if has_next:
        key = keyset.key_of(found[-1])
        page.next_cursor = cursors.write(Cursor(key, number + 1, moment, pinned=pinned))
    if number > 2 and found:
        key = keyset.key_of(found[0])
        cursor = Cursor(key, number - 1, moment, is_backwards=True, pinned=pinned)
        page.previous_cursor = cursors.write(cursor)
    return page


def _rows_of(
    request: OrganizationRequest,
    rows: Any,
    keyset: Keyset,
    paginator: "Paginator[Any]",
    cursor: Cursor | None,
) -> tuple[list[Any], int, bool]:
    """The rows, their page number, and whether more follow."""
    size = paginator.per_page
    if cursor and cursor.is_backwards:
        nearest_first = keyset.after(rows, cursor.key, is_backwards=True)[:size]
        found = list(nearest_first)[::-1]
        return found, cursor.position, bool(found)
    if cursor:
        found, number = list(keyset.after(rows, cursor.key)[: size + 1]), cursor.position
    else:
        number = paginator.get_page(request.GET.get("page")).number
        found = list(keyset.in_order(rows)[(number - 1) * size : number * size + 1])
    return found[:size], number, len(found) > size


def moment_of(request: OrganizationRequest) -> float | None:
    """The time, in Unix seconds, when the first page of the URL's cursor was read."""
    cursor = _cursors_of(request).read_if_good()
    return cursor.moment if cursor else None


def pinned_of(request: OrganizationRequest) -> str | None:
    """What the first page of the URL's cursor pinned."""
    cursor = _cursors_of(request).read_if_good()
    return cursor.pinned if cursor else None


def _cursors_of(request: OrganizationRequest) -> Cursors:
    return Cursors(request.path, request.organization.pk, request.GET)
