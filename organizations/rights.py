"""Whether an actor still has the rights that its request began with.

A request checks them when it begins, and may then wait for a lock while they are taken away.
`audit.log.record_event()` therefore asks again for every recorded change, with the organization's
audit log locked. Whatever takes rights away is recorded there as well, so that of the two one is
first: a change that comes after the end of its actor's rights is refused and rolled back.
"""

from typing import Any

from django.db import connection

from core.errors import Forbidden
from organizations.actors import Actor, Scope
from organizations.models import Membership, User

Role = Membership.Role
RANK: dict[str, int] = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMIN: 3, Role.OWNER: 4}

# Agents, credentials and login sessions belong to apps above this one (tokens/sql).
LIVE_AGENT = """
SELECT scopes, is_administrator FROM tokens_live_agent(%s, %s, %s, %s, 'infinity')
"""
LIVE_PERSON = """
SELECT (membership).role FROM tokens_live_person(%s, %s, %s, %s, 'infinity', interval '0')
"""


def require_rights(actor: Actor) -> None:
    """Raise Forbidden if the actor has lost a right since its request began.

    Runs inside the organization's scope, before the change of rows that give the actor its rights:
    otherwise an owner could not leave, and a removed administrator could add itself again.
    """
    still = STILL_MAY.get(actor.kind)
    if still is not None and not still(actor):
        raise Forbidden("Your rights ended or changed while this request was waiting.")


def _agent_still_may(actor: Actor) -> bool:
    """The credential works, the agent is active and has all scopes of the request."""
    row = _ask(LIVE_AGENT, actor.organization.pk, actor.credential_id, actor.id, actor.token_id)
    if row is None:
        return False
    scopes, is_administrator = row
    lost = actor.scopes - set(scopes)
    return not lost and (is_administrator or Scope.ADMIN_ORGS not in actor.scopes)


def _person_still_may(actor: Actor) -> bool:
    """The account and its login session are active, with at least the same role."""
    if actor.session_id is not None:
        row = _ask(LIVE_PERSON, actor.organization.pk, actor.id, actor.session_id, actor.token_id)
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
