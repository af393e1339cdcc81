"""The filters of a query for executions, read once for the API, the pages and CSV."""

import re
from collections.abc import Iterable, Mapping
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
NAMES = ("hours", "from", "to", "agent_name", "user", "status", "search", "tag", "agent")
Rows = TypeVar("Rows", bound=QuerySet[Any])


@dataclass(frozen=True)
class Filters:
    """Filters for executions. Empty text and None mean: no restriction."""

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
    name: str = ""
    """The agent's full name, used by links from a number to its rows."""
    user: str = ""
    """The id or name of the person who launched it; `unknown` for none."""
    status: str = ""
    search: str = ""
    """Text contained in a field that a row shows; see `containing`."""
    tag: str = ""
    """A whole tag; case is ignored."""
    agent: UUID | None = None
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
            name=_text(query, "name"),
            user=_text(query, "user"),
            status=_status(query),
            search=_text(query, "search"),
            tag=_text(query, "tag"),
            agent=_agent(query),
            fingerprint=_text(query, "fingerprint"),
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
        if self.name:
            wanted &= Q(agent_name=self.name)
        if self.user:
            wanted &= _launched_by(self.user)
        if self.status:
            wanted &= Q(status=self.status)
        if self.agent is not None:
            wanted &= Q(agent_id=self.agent)
        if self.search:
            wanted &= containing(self.search)
        if self.tag:
            wanted &= tagged(self.tag)
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
    text = query.get(name, "").strip()
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidValue.of(name, f"Must have at most {MAX_TEXT_LENGTH} characters.")
    return text


def _status(query: QueryDict) -> str:
    status = _text(query, "status").lower()
    return status and require_choice(status, "status", Execution.Status.values)


def _agent(query: QueryDict) -> UUID | None:
    text = query.get("agent")
    if text is None:
        return None
    key = _uuid(text)
    if key is None:
        raise InvalidValue.of("agent", "Must be the id of an agent.")
    return key


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _launched_by(text: str) -> Q:
    wanted = Q(user__name__same_text=text)
    if text.lower() == NOBODY:
        wanted |= Q(user=None)
    key = _uuid(text)
    return wanted if key is None else wanted | Q(user__external_id=key)


def containing(text: str) -> Q:
    """Executions with the text in their id, summary, tags, agent, status, error or launching user.

    Case and Unicode form are ignored.
    """
    people = ExecutionUser.objects.filter(
        Q(name__contains_text=text) | Q(external_id__icontains=text)
    )
    return Q(searchable_text__contains=folded(text)) | Q(user__in=people.values("pk"))


def tagged(tag: str) -> Q:
    """Executions with this tag; case and Unicode form are ignored."""
    return Q(searchable_tags__contains=[folded(tag)])
