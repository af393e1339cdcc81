"""The parameters of GET /api/v1/analytics/requests, strictly checked."""

import re
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from django.http import Http404

from agents.models import Agent
from analytics.parameters import Parameters
from analytics.requests.filters import ID, REQUESTS, Outcome, RequestFilters, Secret, parse_address
from core.errors import InvalidValue
from core.parameters import parse_whole_number, require_choice
from organizations.models import Organization
from tokens.models import MAX_IDENTIFIER_LENGTH, Credential, TokenEvent

ALL = "all"
OUTCOMES = (ALL, *Outcome.values)
MAX_EXCLUDED = 20
WINDOW = ("days", "from", "to", "tz")
FILTERS = (
    *("outcome", "reason", "agentId", "secret", "address", "resource", "dow", "hour"),
    *("notReason", "notAgentId", "notSecret", "notAddress"),
)
Value = TypeVar("Value")


def read_filters(parameters: Parameters, organization: Organization) -> RequestFilters:
    """The filters; raise a 404 error if the agent or credential is not the organization's."""
    values = parameters.values
    outcome = require_choice(values.get("outcome", ALL), "outcome", OUTCOMES)
    agent_id = one(values, "agentId", _parse_id)
    secret = one(values, "secret", Secret.parse)
    _must_exist(Agent, organization, agent_id, "agent")
    _must_exist(Credential, organization, secret.credential_id if secret else None, "credential")
    return RequestFilters(
        agent_id=agent_id,
        secret=secret,
        address=one(values, "address", parse_address) or "",
        outcome=REQUESTS if outcome == ALL else outcome,
        reason=one(values, "reason", parse_reason) or "",
        resource=_text(values, "resource"),
        dow=_number(values, "dow", 6),
        hour=_number(values, "hour", 23),
        not_agents=several(values, "notAgentId", _parse_id),
        not_secrets=several(values, "notSecret", Secret.parse),
        not_addresses=several(values, "notAddress", parse_address),
        not_reasons=several(values, "notReason", parse_reason),
    )


def parse_reason(text: str) -> str:
    if text not in TokenEvent.Reason.values:
        raise ValueError("Must be a reason.")
    return text


def one(values: dict[str, str], name: str, parse: Callable[[str], Value]) -> Value | None:
    text = values.get(name)
    return None if text is None else _parsed(text, name, parse)


def several(values: dict[str, str], name: str, parse: Callable[[str], Value]) -> tuple[Value, ...]:
    """The values of a list with commas, without repetitions."""
    text = values.get(name)
    if text is None:
        return ()
    parts = text.split(",")
    if len(parts) > MAX_EXCLUDED:
        raise InvalidValue.of(name, f"Give at most {MAX_EXCLUDED} values.")
    return tuple(dict.fromkeys(_parsed(part, name, parse) for part in parts))


_PROBLEMS = {
    "agentId": "Must be a UUID.",
    "secret": "Must be the UUID of a credential, or this, a colon and the end of a secret.",
    "address": "Must be an IP address.",
    "reason": f"Must be one of {', '.join(TokenEvent.Reason.values)}.",
}


def _parsed(text: str, name: str, parse: Callable[[str], Value]) -> Value:
    try:
        return parse(text)
    except ValueError:
        what = name.removeprefix("not")
        raise InvalidValue.of(name, _PROBLEMS[what[0].lower() + what[1:]]) from None


def _parse_id(text: str) -> UUID:
    if not re.fullmatch(ID, text):
        raise ValueError("Must be written with hyphens.")
    return UUID(text)


def _text(values: dict[str, str], name: str) -> str:
    text = values.get(name, "")
    if len(text) > MAX_IDENTIFIER_LENGTH:
        raise InvalidValue.of(name, f"Must have at most {MAX_IDENTIFIER_LENGTH} characters.")
    return text


def _number(values: dict[str, str], name: str, maximum: int) -> int | None:
    text = values.get(name)
    return None if text is None else parse_whole_number(text, name, maximum=maximum)


def _must_exist(
    model: type[Agent] | type[Credential], organization: Organization, key: UUID | None, name: str
) -> None:
    rows = model.objects.for_organization(organization)
    if key is not None and not rows.filter(pk=key).exists():
        raise Http404(f"There is no such {name}.")
