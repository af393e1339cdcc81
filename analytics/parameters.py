"""The query parameters of the analytics API, strictly checked so that typing errors are
reported.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.http import Http404, QueryDict

from agents.models import Agent
from analytics.metrics import Metric, metric_of_outcome
from analytics.periods import MAX_DAYS, Period, parse_zone
from analytics.queries import Narrowing
from core.csv_files import FORMATS
from core.errors import InvalidValue
from core.parameters import parse_whole_number, require_choice
from organizations.models import Organization
from tokens.models import Credential


@dataclass(frozen=True)
class Parameters:
    """The query parameters of a request; unknown ones have already been refused."""

    values: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, query: QueryDict) -> "Parameters":
        parameters = cls({name: str(value) for name, value in query.items()})
        parameters.choice("format", FORMATS)
        return parameters

    def choice(self, name: str, choices: Iterable[str]) -> str | None:
        value = self.values.get(name)
        return value if value is None else require_choice(value, name, choices)

    def period(self, *, days: int) -> Period:
        """The period given by `days` and `tz`."""
        zone = parse_zone(self.values.get("tz", "UTC"))
        wanted = self.values.get("days")
        if wanted is not None:
            days = parse_whole_number(wanted, "days", minimum=1, maximum=MAX_DAYS)
        return Period.last_days(days, zone)

    def month(self) -> Period:
        """The month given by `month` and `tz`."""
        return Period.of_month(self.values.get("month"), parse_zone(self.values.get("tz", "UTC")))

    def metric(self, *, default: str) -> Metric:
        return metric_of_outcome(self.values.get("outcome", default))

    def flag(self, name: str) -> bool:
        return self.choice(name, ("true", "false")) == "true"

    def narrowing(self, organization: Organization) -> Narrowing:
        """The agent and credential given; raises a 404 error unless they belong to the
        organization.
        """
        narrowing = Narrowing(self._id("agentId"), self._id("credentialId"))
        _must_exist(Agent, organization, narrowing.agent_id, "agent")
        _must_exist(Credential, organization, narrowing.credential_id, "credential")
        return narrowing

    def _id(self, name: str) -> UUID | None:
        text = self.values.get(name)
        if text is None:
            return None
        try:
            value = UUID(text)
        except ValueError:
            value = None
        if value is None or str(value) != text.lower():
            raise InvalidValue.of(name, "Must be a UUID.")
        return value


def _must_exist(
    model: type[Agent] | type[Credential], organization: Organization, key: UUID | None, name: str
) -> None:
    rows = model.objects.for_organization(organization)
    if key is not None and not rows.filter(pk=key).exists():
        raise Http404(f"There is no such {name}.")
