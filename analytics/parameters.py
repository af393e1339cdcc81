"""The query parameters of the analytics API: strict, so that a typing error is never silent."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.http import Http404, QueryDict

from agents.models import Agent
from analytics.metrics import Metric, metric_of_outcome
from analytics.periods import Period, parse_days, parse_zone
from analytics.queries import Narrowing
from core.csv_files import FORMATS
from core.errors import InvalidValue
from organizations.models import Organization
from tokens.models import Credential


@dataclass(frozen=True)
class Parameters:
    """A request's query parameters, which the view's door has let pass."""

    values: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, query: QueryDict) -> "Parameters":
        parameters = cls({name: str(value) for name, value in query.items()})
        parameters.choice("format", FORMATS)
        return parameters

    def choice(self, name: str, choices: Iterable[str]) -> str | None:
        value = self.values.get(name)
        if value is not None and value not in choices:
            problem = f"Must be one of {', '.join(choices)}."
            raise InvalidValue(f"{name}: {problem}", **{name: [problem]})
        return value

    def period(self, *, days: int) -> Period:
        """The last days that `days` and `tz` ask for."""
        zone = parse_zone(self.values.get("tz", "UTC"))
        wanted = self.values.get("days")
        return Period.last_days(days if wanted is None else parse_days(wanted), zone)

    def month(self) -> Period:
        """The month that `month` and `tz` ask for."""
        return Period.of_month(self.values.get("month"), parse_zone(self.values.get("tz", "UTC")))

    def metric(self, *, default: str) -> Metric:
        return metric_of_outcome(self.values.get("outcome", default))

    def flag(self, name: str) -> bool:
        return self.choice(name, ("true", "false")) == "true"

    def narrowing(self, organization: Organization) -> Narrowing:
        """The agent and credential asked for; 404 unless they are the organization's own."""
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
            problem = "Must be a UUID."
            raise InvalidValue(f"{name}: {problem}", **{name: [problem]})
        return value


def _must_exist(
    model: type[Agent] | type[Credential], organization: Organization, key: UUID | None, name: str
) -> None:
    rows = model.objects.for_organization(organization)
    if key is not None and not rows.filter(pk=key).exists():
        raise Http404(f"There is no such {name}.")
