"""Introspection and revocation of issued tokens."""

from dataclasses import replace

from django.db import transaction

from core.errors import Forbidden
from organizations.actors import Actor, Scope
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from tokens.access_tokens import ClientClaims, SignedAccess
from tokens.models import MAX_IDENTIFIER_LENGTH, Revocation, TokenEvent


class NotYourToken(Forbidden):
    """RFC 7009 section 2.1: the request is refused and the client informed."""

    message = "The token was issued to another client."


def introspect_token(token: SignedAccess, *, actor: Actor) -> None:
    """Record the introspection of an agent's token."""
    if isinstance(token, ClientClaims):
        _record(token, TokenEvent.Outcome.INTROSPECTED, actor)


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


def _record(token: ClientClaims, outcome: TokenEvent.Outcome, actor: Actor) -> None:
    TokenEvent.objects.create(
        organization=actor.organization,
        outcome=outcome,
        agent_id=token.subject_id,
        credential_id=token.credential_id,
        token_id=token.token_id,
        scope=str(token.get("scope", ""))[:255],
        resource=token.resource[:MAX_IDENTIFIER_LENGTH],
        ip_address=actor.ip_address,
    )
