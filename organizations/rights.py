"""Whether an actor still has the rights that its request began with.

A request checks them when it begins, and may then wait for a lock while they are taken away.
`audit.log.record_event()` therefore asks again for every recorded change, with the organization's
audit log locked. Whatever takes rights away is recorded there as well, so that of the two one is
first: a change that comes after the end of its actor's rights is refused and rolled back. A change
that is not recorded, such as an engine's report, is an action with `rights_last`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from django.db import connection, transaction

from core.errors import Forbidden
from organizations.actors import Actor, Scope
from organizations.models import Membership, User

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Role = Membership.Role
RANK: dict[str, int] = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMIN: 3, Role.OWNER: 4}

# Agents, credentials and login sessions belong to apps above this one (tokens/sql).
LIVE_AGENT = """
SELECT scopes, is_administrator
FROM tokens_live_agent(%s, %s, %s, %s, coalesce(%s::timestamptz, 'infinity'), %s)
"""
LIVE_PERSON = """
SELECT (membership).role
FROM tokens_live_person(%s, %s, %s, %s, coalesce(%s::timestamptz, 'infinity'), interval '30 s', %s)
"""
"""With the spare time of tokens.liveness."""


def require_rights(actor: Actor) -> None:
    """Raise Forbidden if the actor has lost a right since its request began.

    Runs inside the organization's scope, before the change of rows that give the actor its rights:
    otherwise an owner could not leave, and a removed administrator could add itself again.
    """
    still = STILL_MAY.get(actor.kind)
    if still is not None and not still(actor):
        raise Forbidden("Your rights ended or changed while this request was waiting.")


def rights_last(action: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The action in a transaction that asks for its `actor`'s rights again once it has every lock,
    at the end. If they have ended meanwhile it raises Forbidden and changes nothing.
    """

    @wraps(action)
    def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with transaction.atomic():
            result = action(*args, **kwargs)
            require_rights(cast(Actor, kwargs["actor"]))
        return result

    return checked


def _agent_still_may(actor: Actor) -> bool:
    """The credential works, the agent is active and has all scopes of the request."""
    known = (actor.credential_id, actor.id, actor.token_id)
    row = _ask(LIVE_AGENT, actor.organization.pk, *known, actor.issued_at, actor.generation)
    if row is None:
        return False
    scopes, is_administrator = row
    lost = actor.scopes - set(scopes)
    return not lost and (is_administrator or Scope.ADMIN_ORGS not in actor.scopes)


def _person_still_may(actor: Actor) -> bool:
    """The account and its login session are active, with at least the same role."""
    if actor.session_id is not None:
        known = (actor.id, actor.session_id, actor.token_id)
        row = _ask(LIVE_PERSON, actor.organization.pk, *known, actor.issued_at, actor.generation)
    else:  # a page, whose session is Django's
        own = Membership.objects.for_organization(actor.organization).usable()
        row = own.filter(user=actor.id).order_by().values_list("role").first()
    return row is not None and RANK[row[0]] >= RANK.get(actor.role, 0)


def _staff_still_may(actor: Actor) -> bool:
    """The account is active and of staff, and has all permissions with which the request began.

    No audit log says when staff lose a right, so a change may still come a moment after that.
    """
    if actor.user is None:
        return False
    staff = User.objects.filter(pk=actor.user.pk, is_active=True, is_staff=True).first()
    return staff is not None and actor.user.get_all_permissions() <= staff.get_all_permissions()


STILL_MAY = {"agent": _agent_still_may, "person": _person_still_may, "staff": _staff_still_may}


def _ask(statement: str, *values: Any) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row
