"""Changes to credentials: creation, rotation, renaming and revocation."""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.db import transaction

from agents.actions import register_agent, require_may_handle
from agents.models import Agent, AgentAlreadyDecommissioned, AgentNotActive
from core.database_clock import database_time
from core.errors import DomainError, Forbidden
from organizations.actors import Actor, Scope
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from tokens.models import (
    Credential,
    CredentialAlreadyRevoked,
    CredentialExpired,
    make_client_secret,
)

MAX_CREDENTIALS = 20
MAX_GRACE = timedelta(days=7)
MAX_OLD_SECRETS = 5
"""How many old secrets may still work beside the current one."""
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


@transaction.atomic
def create_credential(
    agent: Agent, *, actor: Actor, expires_at: datetime | None = None, name: str = ""
) -> tuple[Credential, str]:
    """Create a credential.

    Returns it with its secret, which is not stored and cannot be shown again.
    """
    agent = _locked_agent(agent.pk, actor=actor)
    _require_scopes_of(agent, actor=actor)
    if agent.is_decommissioned:
        raise AgentAlreadyDecommissioned
    if not agent.is_active:
        raise AgentNotActive
    if Credential.objects.usable().filter(agent=agent).count() >= MAX_CREDENTIALS:
        raise TooManyCredentials
    secret = make_client_secret()
    credential = Credential(
        organization=agent.organization,
        agent=agent,
        expires_at=expires_at,
        name=name,
        created_at=database_time(),  # a rotation counts the length of `expires_at` from here
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
def register_with_credential(
    fields: dict[str, Any], *, actor: Actor, name: str, expires_at: datetime | None
) -> tuple[Credential, str]:
    """Register an agent with its first credential; neither is created without the other."""
    agent = register_agent(actor=actor, **fields)
    return create_credential(agent, actor=actor, name=name, expires_at=expires_at)


@transaction.atomic
def rotate_credential(
    credential: Credential,
    *,
    actor: Actor,
    grace: timedelta = timedelta(0),
    expires_at: datetime | Literal["same length"] | None = "same length",
) -> tuple[Credential, str]:
    """Set a new secret.

    The old one works until the grace period ends, but no longer than its own expiry. With
    `expires_at=None` the new one does not expire. Secrets whose grace period from an earlier
    rotation is still running keep it: a client that repeats a rotation after a lost response has
    not deployed that response's secret. Without `grace`, all old secrets end at once.
    """
    credential = _locked(credential, actor=actor)
    _require_scopes_of(credential.agent, actor=actor)
    now = database_time()  # the clock that decides which secrets work
    if credential.is_expired(now):
        raise CredentialExpired
    if expires_at == "same length":
        expires_at = credential.renewed_end(now)
    secret = make_client_secret()
    credential.replace_secret(secret, grace, now)
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
    """Revoke a credential with its old secrets and all tokens obtained with it."""
    credential = _locked(credential, actor=actor)
    record_event(AuditAction.CREDENTIAL_REVOKED, credential, actor=actor)  # it may be the actor's
    credential.status = Credential.Status.REVOKED
    credential.revoked_at = database_time()
    credential.forget_old_secrets()
    credential.save(update_fields=["status", "revoked_at", *OLD_SECRETS])
    return credential


@transaction.atomic
def rename_credential(credential: Credential, *, actor: Actor, name: str) -> Credential:
    """Change or clear the name. Earlier tokens and requests keep the old name."""
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
    """End the grace period of all old secrets now. Does nothing if none works.

    Tokens obtained with them stay valid, because they belong to the credential.
    """
    credential = _locked(credential, actor=actor)
    ended = credential.end_old_secrets(database_time())
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
    """Raise Forbidden if an agent manages the credentials of another one without administering the
    organization."""
    require_may_handle(agent, actor=actor)
    if actor.kind != "agent" or actor.id == agent.pk or actor.may(Scope.ADMIN_ORGS):
        return
    raise Forbidden("An agent can manage only its own credentials.")


def _require_scopes_of(agent: Agent, *, actor: Actor) -> None:
    """Raise Forbidden if a new secret of the agent could get tokens with scopes that the actor
    lacks: a narrowed token must not become a wide one. Administrators could invite an owner, so
    they need no others."""
    if actor.kind not in ("agent", "person") or actor.may(Scope.ADMIN_ORGS):
        return
    beyond = sorted(set(agent.scopes) - actor.scopes)
    if beyond:
        raise Forbidden(
            f"A secret of this agent can get {' '.join(beyond)}, which you do not hold."
        )


def _locked_agent(agent_id: UUID, *, actor: Actor) -> Agent:
    """Lock the agent to serialize changes to its credentials."""
    agent = Agent.objects.select_for_update(no_key=True).get(pk=agent_id)
    require_may_manage(agent, actor=actor)
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
