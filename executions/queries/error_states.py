"""The states of groups of errors.

All times here are by the clock of the database: when it received an error, when a group was
resolved, and now. What engines wrote on their errors by their own clocks decides nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from django.db.models import F, OuterRef, Q, Subquery
from django.http import QueryDict

from core.database_clock import ago
from core.errors import InvalidValue
from core.parameters import require_choice
from executions.filters import EVERYTHING
from executions.models import ErrorResolution, ErrorState, sees_all
from executions.queries.listing import visible_errors
from organizations.actors import Actor
from organizations.models import Organization

NEW_FOR = timedelta(hours=24)
"""A group is new for so long after its first error was received."""
STATE, NOT_STATE = "state", "not_state"
MAX_STATES = 20
"""Values of one of these parameters."""


@dataclass(frozen=True)
class GroupState:
    """The state of a group, and who resolved it and why.

    `resolved_at` is None unless somebody did. Only operators read who, as a label and an id, and
    the note.
    """

    state: str
    resolved_at: datetime | None = None
    resolved_by: str = ""
    resolver: UUID | None = None
    note: str = ""


@dataclass(frozen=True)
class StateFilter:
    """The states that a list of groups shows; without any, all."""

    wanted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @classmethod
    def read(cls, query: QueryDict) -> Self:
        """Read `state` and `not_state`; raise a 400 error that names the one that is invalid."""
        return cls(*(_states(query, name) for name in (STATE, NOT_STATE)))

    def __bool__(self) -> bool:
        return bool(self.wanted or self.excluded)

    def matches(self, found: GroupState) -> bool:
        is_wanted = not self.wanted or found.state in self.wanted
        return is_wanted and found.state not in self.excluded


ANY_STATE = StateFilter()


def _states(query: QueryDict, name: str) -> tuple[str, ...]:
    texts = query.getlist(name)
    if len(texts) > MAX_STATES:
        raise InvalidValue.of(name, f"Give at most {MAX_STATES} values.")
    return tuple(dict.fromkeys(parse_state(name, text) for text in texts if text.strip()))


def parse_state(name: str, text: str) -> str:
    return require_choice(text.strip().lower(), name, ErrorState.values)


def group_states(
    organization: Organization, actor: Actor, newest: Mapping[str, UUID]
) -> dict[str, GroupState]:
    """The states of groups by fingerprint; `newest` has the key of one error of each.

    The same whatever the window and the filters of a page. An actor that does not see everyone's
    runs gets the state that its own errors give.
    """
    errors = visible_errors(organization, actor, EVERYTHING).order_by()
    alike = errors.filter(fingerprint=OuterRef("fingerprint"))
    resolutions = ErrorResolution.objects.for_organization(organization)
    found = {
        each.fingerprint: _resolved(each, has_details=sees_all(actor))
        for each in resolutions.filter(fingerprint__in=list(newest)).annotate(
            received=Subquery(alike.order_by("-created_at").values("created_at")[:1]),
            is_back=Q(received__gt=F("resolved_at")),
        )
    }
    others = errors.filter(pk__in=[key for group, key in newest.items() if group not in found])
    # In an order, because whether there is one at all PostgreSQL may look up in the whole table.
    first = Subquery(alike.order_by("created_at").values("created_at")[:1])
    others = others.annotate(received=first, is_old=Q(received__lte=ago(NEW_FOR)))
    for fingerprint, is_old in others.values_list("fingerprint", "is_old"):
        found[fingerprint] = GroupState(ErrorState.ONGOING if is_old else ErrorState.NEW)
    return found


def _resolved(resolution: Any, *, has_details: bool) -> GroupState:
    state = ErrorState.REGRESSED if resolution.is_back else ErrorState.RESOLVED
    if not has_details:
        return GroupState(state, resolution.resolved_at)
    return GroupState(
        state,
        resolution.resolved_at,
        resolved_by=resolution.actor_label,
        resolver=resolution.actor_id,
        note=resolution.note,
    )


def state_of(organization: Organization, actor: Actor, fingerprint: str) -> GroupState | None:
    """The state of one group; None if the actor sees no error of it."""
    rows = visible_errors(organization, actor, EVERYTHING).filter(fingerprint=fingerprint)
    newest = rows.order_by("-timestamp").values_list("pk", flat=True).first()
    if newest is None:
        return None
    return group_states(organization, actor, {fingerprint: newest}).get(fingerprint)
