"""The filters of a query for executions, read once for the API, the pages and CSV."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Self, TypeVar
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import QueryDict

from core.days import MAX_TIMESTAMP, day_end, day_start
from core.errors import InvalidValue
from core.parameters import require_choice, whole_number
from core.text import folded
from executions.models import Execution, ExecutionUser

NOBODY = "unknown"
"""The user's name for executions that no person launched."""
MAX_TEXT_LENGTH = 255
MAX_HOURS = 99_999_999
"""More than since 1970, hence all time; kodosumi's page sends 999999 for that."""
END_OF_TIME = MAX_TIMESTAMP + 1.0
SEVERAL = ("name", "user", "status", "tag", "agent")
"""The filters of which a query may have several values: it repeats the parameter, because names and
tags may contain any separator. Executions with one of the values match.
"""
EXCLUDED = tuple(f"not_{name}" for name in SEVERAL)
"""The parameters of the values that an execution must not have."""
REPEATABLE = frozenset({*SEVERAL, *EXCLUDED})
MAX_VALUES = 20
"""Of one parameter."""
NAMES = ("hours", "from", "to", "agent_name", *SEVERAL, *EXCLUDED, "search")
Texts = tuple[str, ...]
Rows = TypeVar("Rows", bound=QuerySet[Any])


@dataclass(frozen=True)
class Filters:
    """Filters for executions. Empty texts, () and None mean: no restriction.

    Of several values one is enough; an execution with one of `not_…` does not match.
    """

    start: float | None = None
    """Started at or after this time, in Unix seconds."""
    end: float | None = None
    """Started before this time."""
    is_recent: bool = False
    """The window is the last hours. Executions that are live or ended in it match, whenever they
    started.
    """
    agent_name: str = ""
    """Part of the name; case is ignored."""
    search: str = ""
    """Text contained in a field that a row shows; see `containing`."""
    name: Texts = ()
    """Full names of agents."""
    user: Texts = ()
    """Ids or names of the people who launched it; `unknown` for none."""
    status: Texts = ()
    tag: Texts = ()
    """Whole tags; case is ignored."""
    agent: tuple[UUID, ...] = ()
    not_name: Texts = ()
    not_user: Texts = ()
    not_status: Texts = ()
    not_tag: Texts = ()
    not_agent: tuple[UUID, ...] = ()
    fingerprint: str = ""
    """The group of errors; does not filter executions."""

    @classmethod
    def read(cls, query: QueryDict, *, hours: int | None, now: float, zone: tzinfo = UTC) -> Self:
        """Read the filters from the query; raise a 400 error that names an invalid parameter.

        Without times the window is the last `hours`, or unlimited. Times without an offset are in
        `zone`.
        """
        start, end = _window(query, hours, now, zone)
        return cls(
            start=start,
            end=end,
            is_recent=start is not None and not {"from", "to"} & query.keys(),
            agent_name=_text(query, "agent_name"),
            search=_text(query, "search"),
            fingerprint=_text(query, "fingerprint"),
            **{name: _several(query, name) for name in (*SEVERAL, *EXCLUDED)},
        )

    def narrow(self, executions: Rows) -> Rows:
        if self.is_recent:
            return executions.filter(
                Q(start_time__gte=self.start) | _ended_since(self.start) | LIVE, self.conditions
            )
        return self.narrow_to_window(executions, "start_time").filter(self.conditions)

    def parts(self, executions: Rows) -> list[Rows]:
        """What `narrow` leaves, without a row twice, in parts of which each has an index. Rows that
        need no order are found faster so.
        """
        if not self.is_recent:
            return [self.narrow(executions)]
        rows = executions.filter(self.conditions)
        earlier = rows.filter(start_time__lt=self.start)
        return [
            rows.filter(start_time__gte=self.start),
            earlier.filter(_ended_since(self.start)),
            earlier.filter(LIVE),
        ]

    def narrow_to_window(self, rows: Rows, clock: str) -> Rows:
        """The rows whose column `clock` is inside the window."""
        if self.start is not None:
            rows = rows.filter(**{f"{clock}__gte": self.start})
        if self.end is not None:
            rows = rows.filter(**{f"{clock}__lt": self.end})
        return rows

    @property
    def window(self) -> tuple[float | None, float | None]:
        return self.start, self.end

    def without_window(self) -> Self:
        return replace(self, start=None, end=None, is_recent=False)

    def by_start(self) -> Self:
        """The same filters, with the window applied to when executions started."""
        return replace(self, is_recent=False)

    def window_alone(self) -> Self:
        return type(self)(start=self.start, end=self.end, is_recent=self.is_recent)

    @property
    def conditions(self) -> Q:
        """The conditions of all filters except the window."""
        wanted = Q()
        if self.agent_name:
            wanted &= Q(agent_name__contains_text=self.agent_name)
        if self.search:
            wanted &= containing(self.search)
        for name, condition in CONDITIONS.items():
            if values := getattr(self, name):
                wanted &= condition(values)
            if values := getattr(self, f"not_{name}"):
                wanted &= ~condition(values)
        return wanted


LIVE = Q(status__in=Execution.LIVE)


def _ended_since(start: float | None) -> Q:
    return Q(status__in=Execution.FINAL, end_time__gte=start)


EVERYTHING = Filters()


def refuse_format(query: QueryDict, known: Iterable[str]) -> None:
    require_choice(query.get("format", "json"), "format", known)


def read_hours(query: QueryDict) -> int | None:
    return whole_number(query, "hours", default=0, maximum=MAX_HOURS) or None


def _window(
    query: QueryDict, default: int | None, now: float, zone: tzinfo
) -> tuple[float | None, float | None]:
    hours = read_hours(query)
    if "from" not in query and "to" not in query:
        hours = default if hours is None else hours
        start = None if hours is None else now - hours * 3600
        return (start if start is None or start > 0 else None), None
    if hours is not None:
        raise InvalidValue.of("hours", "Give either hours, or from and to.")
    start = read_instant(query, "from", zone)
    end = read_instant(query, "to", zone, is_end=True)
    if start is not None and end is not None and end <= start:
        raise InvalidValue.of("to", "Must be later than from.")
    return start, end


def _within(moment: datetime) -> float:
    """The moment in Unix seconds, clamped to times at which an execution can have started."""
    return min(max(moment.timestamp(), 0), END_OF_TIME)


def read_instant(
    query: Mapping[str, Any], name: str, zone: tzinfo, *, is_end: bool = False
) -> float | None:
    """Read Unix seconds or ISO 8601 from the query; a date without a time means the whole day."""
    text = query.get(name)
    if text is None:
        return None
    try:
        if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text):
            seconds = float(text)
        elif re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            edge = day_end if is_end else day_start
            seconds = _within(edge(date.fromisoformat(text), zone))
        else:
            moment = datetime.fromisoformat(text)
            seconds = _within(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        seconds = -1
    if not 0 <= seconds <= END_OF_TIME:
        problem = "Must be Unix seconds, a date, or a date and time as in ISO 8601."
        raise InvalidValue.of(name, problem)
    return seconds


def _text(query: QueryDict, name: str) -> str:
    return _bounded(query.get(name, "").strip(), name)


def _bounded(text: str, name: str) -> str:
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidValue.of(name, f"Must have at most {MAX_TEXT_LENGTH} characters.")
    return text


def _several(query: QueryDict, name: str) -> tuple[Any, ...]:
    """The values of the parameter, without repetitions."""
    texts = query.getlist(name)
    if len(texts) > MAX_VALUES:
        raise InvalidValue.of(name, f"Give at most {MAX_VALUES} values.")
    values = dict.fromkeys(parse_value(name, text) for text in texts)
    return tuple(value for value in values if value)


def parse_value(name: str, text: str) -> str | UUID:
    """One value of a parameter that may be repeated. Raise InvalidValue if it is invalid."""
    kind = name.removeprefix("not_")
    if kind == "agent":
        key = _uuid(text)
        if key is None:
            raise InvalidValue.of(name, "Must be the id of an agent.")
        return key
    text = _bounded(text.strip(), name)
    if kind == "status" and text:
        return require_choice(text.lower(), name, Execution.Status.values)
    return text


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _launched_by(texts: Texts) -> Q:
    wanted = Q()
    for text in texts:
        wanted |= Q(user__name__same_text=text)
        if text.lower() == NOBODY:
            wanted |= Q(user=None)
        if key := _uuid(text):
            wanted |= Q(user__external_id=key)
    return wanted


def containing(text: str) -> Q:
    """Executions with the text in their id, summary, tags, agent, status, error or launching user.

    Case and Unicode form are ignored.
    """
    people = ExecutionUser.objects.filter(
        Q(name__contains_text=text) | Q(external_id__icontains=text)
    )
    return Q(searchable_text__contains=folded(text)) | Q(user__in=people.values("pk"))


def tagged(tags: Texts) -> Q:
    """Executions with one of these tags; case and Unicode form are ignored."""
    return Q(searchable_tags__overlap=[folded(tag) for tag in tags])


CONDITIONS: dict[str, Callable[[Any], Q]] = {
    "name": lambda names: Q(agent_name__in=names),
    "user": _launched_by,
    "status": lambda statuses: Q(status__in=statuses),
    "tag": tagged,
    "agent": lambda agents: Q(agent_id__in=agents),
}
"""Of SEVERAL, by name: the executions with one of the values."""
