"""Issuing, checking and ending tokens; the life of credentials."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from agents.actions import require_may_handle
from agents.models import Agent, AgentAlreadyDecommissioned, AgentNotActive
from core.errors import DomainError, Forbidden
from core.ids import uuid7
from core.throttling import Guesses, count_failure, note_failure
from organizations.actors import Actor, Scope
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event, record_failed_proof
from organizations.models import UNIDENTIFIED_ORGANIZATION_ID, Organization
from organizations.tenancy.scope import organization_scope
from tokens.access_tokens import (
    ACCESS_TOKEN_SECONDS,
    ClientClaims,
    SignedAccess,
    new_token_id,
    sign_agent_token,
)
from tokens.issue_sql import Issue, call_issue
from tokens.models import (
    HINT_LENGTH,
    MAX_IDENTIFIER_LENGTH,
    Credential,
    CredentialAlreadyRevoked,
    CredentialExpired,
    Revocation,
    TokenEvent,
    make_client_secret,
)
from tokens.peppers import stored_mac

MAX_CREDENTIALS = 20
MAX_GRACE = timedelta(days=7)
MAX_OLD_SECRETS = 5
"""That still work beside the present one."""
OLD_SECRETS = (
    "previous_secret_mac",
    "previous_expires_at",
    "previous_last_used_at",
    "earlier_secret_macs",
    "earlier_secret_ends",
    "previous_secret_hint",
    "earlier_secret_hints",
)


class TooManyCredentials(DomainError):
    code = "CREDENTIAL_LIMIT_EXCEEDED"
    message = f"An agent has at most {MAX_CREDENTIALS} live credentials. Revoke one first."


class TooManyOldSecrets(DomainError):
    code = "SECRET_LIMIT_EXCEEDED"
    message = (
        f"{MAX_OLD_SECRETS} old secrets of the credential still work. Wait until the grace of "
        "one has ended, or rotate without grace: that ends them all."
    )


class NotYourToken(Forbidden):
    """RFC 7009 section 2.1: the request is refused and the client is informed."""

    message = "The token was issued to another client."


@dataclass(frozen=True)
class IssuedToken:
    access_token: str
    scope: str
    expires_in: int
    """Seconds."""


@dataclass(frozen=True)
class Refusal:
    """Why no token was issued; the answer to the client is chosen by it, and tells less."""

    reason: str
    retry_after: int = 0
    """Seconds, where the client should wait."""


def issue_token(
    client_id: UUID,
    client_secret: str,
    scopes: list[str] | None,
    *,
    resource: str | None = None,
    ip_address: str | None,
) -> IssuedToken | Refusal:
    """A token for the client that proves its secret, its row committed before the answer.

    It is for the resource with that identifier, or for our own API. One statement in a transaction
    of its own (migration tokens.0010); a refusal is then recorded with its audit event. Must be
    called outside of a transaction to be durable.
    """
    token_id = new_token_id()
    guesses = Guesses.at("token", client_id, ip_address)
    wanted = None if scopes is None else " ".join(scopes)
    mac = stored_mac(client_id, client_secret)
    issue = call_issue(client_id, mac, wanted, uuid7(), token_id, ip_address, resource, guesses)
    if issue.reason is not None or issue.credential_id is None:
        if issue.left_out is not None:
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
"""Refusals after the client has proved who it is: they may say why."""


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

    `hint` belongs to a secret that a credential has or had; of another one nothing is kept.
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
    """Count and record a client that could not prove itself, beside the token endpoint.

    TooManyRequests when it may not be told so any more. Runs inside the organization's scope; the
    caller must let the transaction commit.
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


# Credentials


@transaction.atomic
def create_credential(
    agent: Agent, *, actor: Actor, expires_at: datetime | None = None, name: str = ""
) -> tuple[Credential, str]:
    """A new credential and its secret, which is not stored and cannot be shown again."""
    agent = _locked_agent(agent.pk, actor=actor)
    if agent.is_decommissioned:
        raise AgentAlreadyDecommissioned
    if not agent.is_active:
        raise AgentNotActive
    if Credential.objects.usable().filter(agent=agent).count() >= MAX_CREDENTIALS:
        raise TooManyCredentials
    secret = make_client_secret()
    credential = Credential(
        organization=agent.organization, agent=agent, expires_at=expires_at, name=name
    )
    credential.set_secret(secret)
    credential.save(force_insert=True)
    record_event(
        AuditAction.CREDENTIAL_GENERATED,
        credential,
        actor=actor,
        expiresAt=expires_at,
        **({"name": name} if name else {}),
    )
    return credential, secret


@transaction.atomic
def rotate_credential(
    credential: Credential,
    *,
    actor: Actor,
    grace: timedelta = timedelta(0),
    expires_at: datetime | Literal["same length"] | None = "same length",
) -> tuple[Credential, str]:
    """A new secret under the same id; the old one works until the grace period ends, but not
    beyond its own end. None as the end: the new one does not expire.

    A secret that was promised its grace in an earlier rotation keeps it: whoever repeats a rotation
    whose answer was lost has not rolled out the secret that the answer held. Without a grace all
    old secrets end.
    """
    credential = _locked(credential, actor=actor)
    if credential.is_expired():
        raise CredentialExpired
    if expires_at == "same length":
        expires_at = credential.renewed_end(timezone.now())
    secret = make_client_secret()
    credential.replace_secret(secret, grace)
    credential.expires_at = expires_at
    old = credential.old_secrets()
    if len(old) > MAX_OLD_SECRETS:
        raise TooManyOldSecrets
    credential.save(
        update_fields=["secret_mac", "secret_hint", "rotated_at", "expires_at", *OLD_SECRETS]
    )
    record_event(
        AuditAction.CREDENTIAL_ROTATED,
        credential,
        actor=actor,
        graceSeconds=int(grace.total_seconds()),
        oldSecrets=len(old),
        oldSecretsWorkUntil=credential.old_secrets_end,
        expiresAt=expires_at,
    )
    return credential, secret


@transaction.atomic
def revoke_credential(credential: Credential, *, actor: Actor) -> Credential:
    """End a credential, its grace period and the live tokens that it got."""
    credential = _locked(credential, actor=actor)
    credential.status = Credential.Status.REVOKED
    credential.revoked_at = timezone.now()
    credential.forget_old_secrets()
    credential.save(update_fields=["status", "revoked_at", *OLD_SECRETS])
    record_event(AuditAction.CREDENTIAL_REVOKED, credential, actor=actor)
    return credential


@transaction.atomic
def rename_credential(credential: Credential, *, actor: Actor, name: str) -> Credential:
    """Another name, or none. Tokens and requests from before keep the old name."""
    credential = _locked(credential, actor=actor)
    before = credential.name
    if name != before:
        credential.name = name
        credential.save(update_fields=["name"])
        record_event(
            AuditAction.CREDENTIAL_RENAMED, credential, actor=actor, nameBefore=before, name=name
        )
    return credential


@transaction.atomic
def end_old_secrets(credential: Credential, *, actor: Actor) -> Credential:
    """End the grace of every secret before the present one, now; a second time nothing happens.

    Tokens that were got with them go on: they belong to the credential, which goes on as well.
    """
    credential = _locked(credential, actor=actor)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")  # the clock that decides what still works
        ended = credential.end_old_secrets(cursor.fetchone()[0])
    if ended:
        credential.save(update_fields=[*OLD_SECRETS])
        record_event(
            AuditAction.CREDENTIAL_OLD_SECRETS_ENDED,
            credential,
            actor=actor,
            secretHints=[old.hint for old in ended if old.hint],
            oldSecrets=len(ended),
        )
    return credential


def require_may_manage(agent: Agent, *, actor: Actor) -> None:
    """An agent manages its own credentials only, unless it administers its organization."""
    require_may_handle(agent, actor=actor)
    if actor.kind != "agent" or actor.id == agent.pk or actor.may(Scope.ADMIN_ORGS):
        return
    raise Forbidden("An agent manages its own credentials only.")


def _locked_agent(agent_id: UUID, *, actor: Actor) -> Agent:
    """The agent, whose credentials change one at a time, for an actor that still may change them.

    A request that was under way when its credential was revoked must not leave another one.
    """
    agent = Agent.objects.select_for_update(no_key=True).get(pk=agent_id)
    require_may_manage(agent, actor=actor)
    if actor.kind == "agent":
        own = Credential.objects.usable().of_acting_agents()
        if not own.filter(pk=actor.credential_id).exists():
            raise Forbidden("The credential behind this token has ended.")
    return agent


def _locked(credential: Credential, *, actor: Actor) -> Credential:
    _locked_agent(credential.agent_id, actor=actor)
    credential = (
        Credential.objects.with_usability()
        .select_for_update(of=("self",), no_key=True)
        .select_related("agent", "organization")
        .get(pk=credential.pk)
    )
    if credential.is_revoked:
        raise CredentialAlreadyRevoked
    return credential


# Tokens that exist


def introspect_token(token: SignedAccess, *, actor: Actor) -> None:
    """Leave a trace of an introspection of an agent's token."""
    if isinstance(token, ClientClaims):
        _record(token, TokenEvent.Outcome.INTROSPECTED, actor)


@transaction.atomic
def revoke_token(token: SignedAccess, *, actor: Actor) -> bool:
    """End a token now; gives whether it was ended, for a second time nothing happens.

    NotYourToken unless it is the actor's own or the actor may end its organization's tokens.
    Another organization's is as unknown as no token at all.
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
        actor=actor,
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
