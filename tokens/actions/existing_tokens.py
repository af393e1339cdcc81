"""Introspection and revocation of issued tokens."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from django.db import connection, transaction
from django.db.models import Case, F, Value, When
from django.utils import timezone

from core.errors import Forbidden
from core.throttling import Quota, has_room
from organizations.actors import Actor, Scope
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from tokens.access_tokens import ClientClaims, SignedAccess
from tokens.models import MAX_IDENTIFIER_LENGTH, Revocation, TokenEvent

RECORDED_INTROSPECTIONS = Quota(limit=20, window=timedelta(minutes=1))
"""So many of one caller have a row each. Further ones share one a minute for each credential, so
that whoever may introspect cannot fill the table."""


class NotYourToken(Forbidden):
    """RFC 7009 section 2.1: the request is refused and the client informed."""

    message = "The token was issued to another client."


def introspect_token(token: SignedAccess, *, actor: Actor) -> None:
    """Record the introspection of an agent's token, in a row of its own or in a shared one."""
    if not isinstance(token, ClientClaims):
        return
    if has_room(f"introspected by {actor.id}", RECORDED_INTROSPECTIONS):
        _record(token, TokenEvent.Outcome.INTROSPECTED, actor)
    else:
        _count_introspection(token, actor, timezone.now())


@transaction.atomic
def _count_introspection(token: ClientClaims, actor: Actor, now: datetime) -> None:
    """Count it in the row that all further introspections of its credential and minute share."""
    minute = now.replace(second=0, microsecond=0)
    # Computed, so that the shared row is found by the primary key.
    shared = uuid5(token.credential_id, f"introspected {minute.isoformat()}")
    facts = _facts(token, actor)
    empty = {"token_id": None, "scope": "", "resource": "", "ip_address": None}
    common = {
        name: Case(When(**{name: facts[name]}, then=F(name)), default=Value(nothing))
        for name, nothing in empty.items()
    }
    events = TokenEvent.objects.for_organization(actor.organization).filter(
        pk=shared,
        # The months of its minute, so that no other partition is looked at.
        created_at__gte=minute,
        created_at__lt=minute + timedelta(minutes=1),
    )
    if events.update(times=F("times") + 1, **common):
        return
    with connection.cursor() as cursor:
        # Several callers may ask about one credential, and only one of them may insert the row.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [str(shared)])
    if not events.update(times=F("times") + 1, **common):
        _record(token, TokenEvent.Outcome.INTROSPECTED, actor, pk=shared, created_at=now)


@transaction.atomic
def revoke_token(token: SignedAccess, *, actor: Actor) -> bool:
    """Revoke a token. Returns False if there was nothing to revoke.

    Raise NotYourToken unless it is the actor's own, or the actor may administer the organization.
    Another organization's token is treated as unknown.
    """
    if token.organization_id != actor.organization.pk:
        return False
    if token.subject_id != actor.id and not actor.may(Scope.ADMIN_ORGS):
        raise NotYourToken
    _, is_new = Revocation.objects.get_or_create(
        organization=actor.organization,
        token_id=token.token_id,
        defaults={"expires_at": token.expires_at},
    )
    if not is_new:
        return False
    if isinstance(token, ClientClaims):
        _record(token, TokenEvent.Outcome.REVOKED, actor)
    record_event(
        AuditAction.TOKEN_REVOKED,
        # The token may be the actor's own, and one's own needs no right.
        actor=replace(actor, token_id=None, scopes=actor.scopes & {Scope.ADMIN_ORGS}),
        tokenId=str(token.token_id),
        agent_id=token.subject_id if isinstance(token, ClientClaims) else None,
    )
    return True


def _record(
    token: ClientClaims,
    outcome: TokenEvent.Outcome,
    actor: Actor,
    **row: UUID | datetime,
) -> None:
    TokenEvent.objects.create(outcome=outcome, **_facts(token, actor), **row)


def _facts(token: ClientClaims, actor: Actor) -> dict[str, Any]:
    """What a token event says about the token, and from where it was presented."""
    return {
        "organization": actor.organization,
        "agent_id": token.subject_id,
        "credential_id": token.credential_id,
        "token_id": token.token_id,
        "scope": str(token.get("scope", ""))[:255],
        "resource": token.resource[:MAX_IDENTIFIER_LENGTH],
        "ip_address": actor.ip_address,
    }
