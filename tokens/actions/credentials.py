"""The life of credentials."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from agents.actions import require_may_handle
from agents.models import Agent, AgentAlreadyDecommissioned, AgentNotActive
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
