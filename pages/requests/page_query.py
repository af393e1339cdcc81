"""The query of the page of requests: a window of time, and what is demanded and excluded.

Values that make no sense are ignored: a page shows more rather than an error.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils import timezone

from agents.models import Agent
from analytics.findings.codes import CODES
from analytics.periods import MAX_DAYS
from analytics.requests.filters import (
    REQUESTS,
    UNKNOWN,
    RequestFilters,
    Secret,
    parse_address,
)
from analytics.requests.parameters import MAX_EXCLUDED, parse_reason
from analytics.requests.window import DEFAULT_DAYS, Window
from core.days import WEEKDAYS
from core.errors import InvalidValue
from core.formatting import day_of
from pages.decorators import OrganizationRequest
from pages.executions.page_query import stamp
from pages.lists import NOT_COMPARED, VIEW, Filter, ListFilters, view_of
from tokens.models import Credential, TokenEvent

KNOWN_AGENTS = 100
EDGES = ("date", "from", "to", "days")
EXCLUSIONS = ("not_agent", "not_credential", "not_address", "not_reason")
PLACE = ("page", "cursor", "until", "open")
"""The parameters that say which lines are shown; they mean nothing to another query."""
OUTCOMES = (
    (REQUESTS, "issued or refused"),
    *((str(value), str(label).lower()) for value, label in TokenEvent.Outcome.choices),
)
REASONS = tuple((str(value), str(label).lower()) for value, label in TokenEvent.Reason.choices)
KNOWN = (
    Filter("date", "day", kind="date"),
    Filter("from", "time", kind="text", is_in_menu=False, verb="is at or after"),
    Filter("to", "time", kind="text", is_in_menu=False, verb="is before"),
    Filter("dow", "weekday", tuple((str(i), name) for i, name in enumerate(WEEKDAYS))),
    Filter("hour", "hour", tuple((str(hour), f"{hour:02d}:00") for hour in range(24))),
    Filter("outcome", "outcome", OUTCOMES),
    Filter("reason", "reason", REASONS),
    Filter("credential", "secret", kind="text", is_in_menu=False),
    Filter("address", "address", kind="text", is_in_menu=False),
    Filter("resource", "resource", kind="text", is_in_menu=False),
)
DAYS = Filter("days", "days", kind="number", maximum=MAX_DAYS, is_in_menu=False)
Value = TypeVar("Value")


@dataclass(frozen=True)
class RequestLists(ListFilters):
    """The filters as chips, the excluded values among them."""

    excluded: tuple[dict[str, Any], ...] = ()

    @property
    def chips(self) -> list[dict[str, Any]]:
        return [*super().chips, *self.excluded]

    @property
    def kept(self) -> list[tuple[str, str]]:
        return [pair for pair in super().kept if pair[0] not in PLACE]

    @property
    def is_narrowed(self) -> bool:
        """Whether it has more than a window of time."""
        return bool(self.excluded or set(self.values) - set(EDGES))

    def url_without(self, *names: str) -> str:
        return super().url_without(*names, *PLACE)

    @property
    def clear_url(self) -> str:
        """Without filters; the window of time stays."""
        names = {each.name for each in self.known} - set(EDGES)
        return self.url_without(*names, *EXCLUSIONS, "finding", "each")


class RequestQuery:
    """The query of the URL. Reads the agents and credentials that it names."""

    def __init__(self, request: OrganizationRequest) -> None:
        self.request = request
        self.words: dict[str, str] = {}
        self.until = self._until()
        self.now = self.until or timezone.now()
        found = {each.name: each.clean(request.GET.get(each.name, "")) for each in (*KNOWN, DAYS)}
        self.values = {name: value for name, value in found.items() if value}
        self.window = self._window()
        self.filters = self._filters()
        if request.GET.get("compare") == NOT_COMPARED:
            self.values["compare"] = NOT_COMPARED
        finding = request.GET.get("finding", "")
        if finding in CODES:
            self.values["finding"] = finding

    @property
    def zone(self) -> ZoneInfo:
        return self.request.zone

    def _until(self) -> datetime | None:
        """The time of the first page of lines: later requests would shift the following pages."""
        with suppress(ValueError, OverflowError, OSError):
            moment = datetime.fromtimestamp(float(self.request.GET.get("until", "nan")), self.zone)
            return moment if moment <= timezone.now() else None
        return None

    @property
    def is_compared(self) -> bool:
        """Whether the numbers stand beside those of the previous window."""
        return "compare" not in self.values

    # The window

    def _window(self) -> Window:
        """The window; of contradicting parameters the first of EDGES counts."""
        values = self.values
        if "date" in values:
            for name in EDGES[1:]:
                values.pop(name, None)
            day = date.fromisoformat(values["date"])
            self.words["date"] = f"{day:%a} {day.day} {day:%b %Y}"
            with suppress(InvalidValue, OverflowError):
                given = {"from": values["date"], "to": values["date"]}
                return Window.read(given, self.zone, self.now, edges_in=self.zone)
        if "from" in values or "to" in values:
            values.pop("days", None)
            try:
                window = Window.read(values, self.zone, self.now, edges_in=self.zone)
            except InvalidValue as error:
                for name in error.details:
                    values.pop(name, None)
                return self._window()
            self.words["from"] = self.written(window.start)
            self.words["to"] = self.written(window.end)
            return window
        days = max(int(values.get("days", DEFAULT_DAYS)), 1)
        return Window.last_days(days, self.zone, self.now)

    def written(self, moment: datetime) -> str:
        local = moment.astimezone(self.zone)
        clock = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
        return f"{day_of(local, self.now)}, {clock}"

    # The filters

    def _filters(self) -> RequestFilters:
        values = self.values
        excluded = {name: self._excluded(name) for name in EXCLUSIONS}
        filters = RequestFilters(
            agent_id=self._agent_id(),
            secret=self._one("credential", Secret.parse),
            address=self._one("address", parse_address) or "",
            outcome=values.get("outcome", REQUESTS),
            reason=values.get("reason", ""),
            resource=values.get("resource", ""),
            dow=int(values["dow"]) if "dow" in values else None,
            hour=int(values["hour"]) if "hour" in values else None,
            not_agents=excluded["not_agent"],
            not_secrets=excluded["not_credential"],
            not_addresses=excluded["not_address"],
            not_reasons=excluded["not_reason"],
        )
        for name, parts in excluded.items():
            if parts:
                values[name] = ",".join(map(str, parts))
        return filters

    def _one(self, name: str, parse: Callable[[str], Value]) -> Value | None:
        with suppress(ValueError):
            return parse(self.values[name]) if name in self.values else None
        del self.values[name]
        return None

    def _excluded(self, name: str) -> tuple[Any, ...]:
        parse: Callable[[str], Any] = {  # type: ignore[assignment]
            "not_agent": UUID,
            "not_credential": Secret.parse,
            "not_address": parse_address,
            "not_reason": parse_reason,
        }[name]
        found: dict[Any, None] = {}
        for text in self.request.GET.get(name, "").split(",")[:MAX_EXCLUDED]:
            with suppress(ValueError):
                found[parse(text.strip())] = None
        return tuple(found)

    def _agent_id(self) -> UUID | None:
        """The agent given by id, address or short name; UNKNOWN if there is none."""
        text = Filter("agent", "agent", kind="text").clean(self.request.GET.get("agent", ""))
        if not text:
            return None
        self.values["agent"] = text
        named = Q(email__iexact=text) | Q(email__istartswith=f"{text}@")
        with suppress(ValueError):
            named = Q(pk=UUID(text))
        found = Agent.objects.for_organization(self.request.organization).filter(named).first()
        if found is not None:
            self.words["agent"] = found.name
        return UNKNOWN if found is None else found.pk

    @cached_property
    def lists(self) -> RequestLists:
        agents = Agent.objects.for_organization(self.request.organization).order_by("email")
        suggested = tuple((each.email, each.name) for each in agents.only("email")[:KNOWN_AGENTS])
        known = (*KNOWN, Filter("agent", "agent", suggested, kind="text"))
        secrets = [
            *self.filters.not_secrets,
            *([self.filters.secret] if self.filters.secret else []),
        ]
        names = self._names_of(secrets)
        if self.filters.secret:
            self.words["credential"] = names[self.filters.secret]
        values = {each.name: self.values[each.name] for each in known if each.name in self.values}
        if values.get("outcome") == REQUESTS:
            del values["outcome"]
        excluded = [
            *self._exclusions("agent", "agent", self.filters.not_agents, self._agent_names()),
            *self._exclusions("credential", "secret", self.filters.not_secrets, names),
            *self._exclusions("address", "address", self.filters.not_addresses, {}),
            *self._exclusions("reason", "reason", self.filters.not_reasons, dict(REASONS)),
        ]
        return RequestLists(self.request, known, values, self.words, tuple(excluded))

    def _exclusions(
        self, name: str, subject: str, values: Sequence[Any], words: dict[Any, str]
    ) -> list[dict[str, Any]]:
        """A chip for each excluded value."""
        return [
            {
                "subject": subject,
                "verb": "is not",
                "values": [words.get(value, value)],
                "remove_url": self.excluding(name, value, is_on=False),
            }
            for value in values
        ]

    def _agent_names(self) -> dict[Any, str]:
        if not self.filters.not_agents:
            return {}
        agents = Agent.objects.for_organization(self.request.organization)
        found = agents.filter(pk__in=self.filters.not_agents)
        return {agent.pk: agent.name for agent in found}

    def _names_of(self, secrets: Sequence[Secret]) -> dict[Any, str]:
        if not secrets:
            return {}
        credentials = Credential.objects.for_organization(self.request.organization).in_bulk(
            {each.credential_id for each in secrets}
        )
        return {each: secret_name(each, credentials.get(each.credential_id)) for each in secrets}

    # URLs

    def url(self, **changes: object) -> str:
        """The URL of the page with the same query except for `changes`.

        None removes a parameter; changing the window replaces all of it. Write `from_` for `from`.
        """
        changes = {name.rstrip("_"): value for name, value in changes.items()}
        query: dict[str, object] = {**self.values}
        if set(EDGES) & set(changes):
            query = {name: value for name, value in query.items() if name not in EDGES}
        if self.request.GET.get("tz") == self.zone.key:
            query["tz"] = self.zone.key
        query |= changes
        kept = {name: str(value) for name, value in query.items() if value is not None}
        if view := view_of(self.request):
            kept[VIEW] = view
        return f"{self.request.path}?{urlencode(kept)}" if kept else self.request.path

    def state(self) -> list[tuple[str, str]]:
        """What a saved view keeps. The finding is left out: it is about one day."""
        kept = {name: value for name, value in self.values.items() if name != "finding"}
        if self.request.GET.get("tz") == self.zone.key:
            kept["tz"] = self.zone.key
        if "each" in self.request.GET:
            kept["each"] = "1"
        return list(kept.items())

    def excluding(self, name: str, value: object, *, is_on: bool = True) -> str:
        """The URL that also excludes the value, or no longer does; its demand ends."""
        kept = [part for part in self.values.get(f"not_{name}", "").split(",") if part]
        kept = [part for part in kept if part != str(value)] + [str(value)] * is_on
        changes: dict[str, object] = {f"not_{name}": ",".join(kept) or None}
        if is_on:
            changes[name] = None
        return self.url(**changes)

    def span_url(self, start: datetime, end: datetime) -> str:
        return self.url(from_=stamp(start.timestamp()), to=stamp(end.timestamp()))


def secret_name(secret: Secret, credential: Credential | None) -> str:
    if credential is None:
        return "unknown"
    if secret.hint is None:
        return credential.label
    hint = f"…{secret.hint}" if secret.hint else "an earlier secret"
    return f"{credential.name} {hint}".strip()
