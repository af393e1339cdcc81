"""Issuing tokens, and recording refused requests."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

from core.ids import uuid7
from core.postgresql.base import replace_if_lost
from core.throttling import Guesses, count_failure, note_failure
from organizations.actors import Actor
from organizations.audit.log import record_failed_proof
from organizations.models import UNIDENTIFIED_ORGANIZATION_ID, Organization
from organizations.tenancy.scope import organization_scope
from tokens import issue_batches
from tokens.access_tokens import ACCESS_TOKEN_SECONDS, new_token_id, sign_agent_token
from tokens.issue_sql import Issue, Question
from tokens.models import HINT_LENGTH, Credential, TokenEvent
from tokens.peppers import stored_mac


@dataclass(frozen=True)
class IssuedToken:
    access_token: str
    scope: str
    expires_in: int
    """In seconds."""


@dataclass(frozen=True)
class Refusal:
    """Why no token was issued. The client is told less."""

    reason: str
    retry_after: int = 0
    """Seconds that the client should wait, or 0."""


def issue_token(
    client_id: UUID,
    client_secret: str,
    scopes: list[str] | None,
    *,
    resource: str | None = None,
    ip_address: str | None,
) -> IssuedToken | Refusal:
    """Issue a token if the client's secret is right. Its row is committed before the response.

    The token is for the resource with that identifier, or for AgentIdP's API. One statement in its
    own transaction issues it, perhaps with others (tokens/issue_batches.py); a refusal is recorded
    afterwards with its audit event. The row is durable only if this is called outside of a
    transaction.
    """
    token_id = new_token_id()
    guesses = Guesses.at("token", client_id, ip_address)
    wanted = None if scopes is None else " ".join(scopes)
    mac = stored_mac(client_id, client_secret)
    issue = issue_batches.issue(
        Question(client_id, mac, wanted, uuid7(), token_id, ip_address, resource, guesses)
    )
    if issue.reason is not None or issue.credential_id is None:
        if issue.left_out is not None:
            replace_if_lost(connection)
            hint = client_secret[-HINT_LENGTH:] if issue.credential_id else ""
            _record_refusal(issue, client_id, hint, ip_address, resource, issue.left_out)
        return Refusal(str(issue.reason), issue.retry_after)
    lifetime = issue.lifetime or ACCESS_TOKEN_SECONDS
    access_token = sign_agent_token(
        agent_id=client_id,
        organization_id=issue.organization_id,
        credential_id=issue.credential_id,
        scope=issue.scope,
        token_id=token_id,
        issued_at=issue.issued_at,
        generation=issue.generation,
        algorithm=issue.algorithm,
        lifetime=lifetime,
        resource=resource or "",
    )
    return IssuedToken(access_token, issue.scope, lifetime)


IS_AUTHENTICATED = frozenset(
    {
        TokenEvent.Reason.SCOPE_NOT_ALLOWED,
        TokenEvent.Reason.RESOURCE_NOT_ALLOWED,
        TokenEvent.Reason.MONTHLY_LIMIT,
    }
)
"""Refusals after successful authentication: the client may be told the reason."""


@transaction.atomic
def _record_refusal(
    issue: Issue,
    client_id: UUID,
    hint: str,
    ip_address: str | None,
    resource: str | None,
    left_out: int,
) -> None:
    """Record the refused request. An unknown client costs the same work as a wrong secret.

    `hint` is from a current or former secret of a credential; nothing of any other secret is
    stored.
    """
    reason = str(issue.reason)
    organization = Organization.objects.get(pk=issue.organization_id)
    is_known = organization.pk != UNIDENTIFIED_ORGANIZATION_ID
    with organization_scope(organization):
        credential = Credential.objects.filter(pk__in=[issue.credential_id]).only("name").first()
        TokenEvent.objects.create(
            organization=organization,
            outcome=TokenEvent.Outcome.REFUSED,
            reason=reason,
            agent_id=client_id if is_known else None,
            credential_id=issue.credential_id,
            secret_hint=hint,
            credential_name=credential.name if credential else "",
            scope=issue.scope[:255],
            resource=resource or "",
            ip_address=ip_address,
        )
        if reason not in IS_AUTHENTICATED:
            _record_failure(organization, client_id, ip_address, reason, left_out)


def refuse_client(
    guesses: Guesses, client_id: UUID, organization_id: UUID, ip_address: str | None
) -> None:
    """Count and record a failed client authentication outside of the token endpoint.

    Raise TooManyRequests if the client may no longer be told. Call it in the organization's scope,
    and let the transaction commit.
    """
    count_failure(guesses)
    is_known = organization_id != UNIDENTIFIED_ORGANIZATION_ID
    left_out = note_failure(guesses, client_id if is_known else UNIDENTIFIED_ORGANIZATION_ID)
    if left_out is not None:
        organization = Organization.objects.get(pk=organization_id)
        reason = "client_authentication"
        _record_failure(organization, client_id, ip_address, reason, left_out)


def _record_failure(
    organization: Organization,
    client_id: UUID,
    ip_address: str | None,
    reason: str,
    left_out: int,
) -> None:
    is_known = organization.pk != UNIDENTIFIED_ORGANIZATION_ID
    actor = Actor(
        kind="agent",
        id=client_id if is_known else None,
        label=str(client_id),
        organization=organization,
        ip_address=ip_address,
    )
    record_failed_proof(actor, reason=reason, left_out=left_out)
