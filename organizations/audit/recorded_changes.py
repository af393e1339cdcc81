"""How much callers can make an organization's audit log grow, which nobody can shorten."""

import hashlib
import json
from datetime import timedelta
from typing import Any

from core.throttling import Quota, count_attempt, throttle_key
from organizations.actors import Actor
from organizations.audit.actions import AuditAction

OF_ORGANIZATION = Quota(limit=1000, window=timedelta(minutes=1))
OF_ACTOR = Quota(limit=10_000, window=timedelta(hours=1))
LIMITED_ACTORS = frozenset({"agent", "person"})
LIMITED = frozenset(
    {
        AuditAction.AGENT_CREATED,
        AuditAction.AGENT_UPDATED,
        AuditAction.AGENT_REACTIVATED,
        AuditAction.CREDENTIAL_GENERATED,
        AuditAction.CREDENTIAL_ROTATED,
        AuditAction.CREDENTIAL_RENAMED,
        AuditAction.RESOURCE_CREATED,
        AuditAction.RESOURCE_UPDATED,
        AuditAction.RESOURCE_AGENT_ALLOWED,
        AuditAction.ORG_UPDATED,
        AuditAction.ORG_MEMBER_ADDED,
        AuditAction.ORG_MEMBER_ROLE_CHANGED,
        AuditAction.ORG_INVITATION_CREATED,
        AuditAction.EXECUTION_DELETED,
    }
)
"""Changes that a caller can repeat without end. What ends a right is never refused: it follows one
of these. Sign-ins, proofs and exports have limits of their own.
"""
MAX_VALUE = 2_048
"""Bytes of a value in an event's metadata, as JSON."""
MAX_METADATA = 8_192
SHOWN = 256


def count_change(action: str, actor: Actor) -> None:
    """Count a change. Raise TooManyRequests after very many of its organization or actor.

    Call it with the organization's audit log locked.
    """
    if action not in LIMITED or actor.kind not in LIMITED_ACTORS:
        return
    organization = actor.organization.pk
    count_attempt(throttle_key("audit.change", organization), OF_ORGANIZATION)
    count_attempt(throttle_key("audit.change", organization, actor.id), OF_ACTOR)


def shortened(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata with long values as their beginning, their size and their SHA-256.

    A value is what stands under a name, in the metadata or in an object such as `before` in it.
    """
    short = {
        name: (
            {inner: _short(each, MAX_VALUE) for inner, each in value.items()}
            if isinstance(value, dict)
            else _short(value, MAX_VALUE)
        )
        for name, value in metadata.items()
    }
    if len(_json(short).encode()) > MAX_METADATA:
        return {name: _short(value, MAX_VALUE) for name, value in short.items()}
    return short


def _short(value: Any, most: int) -> Any:
    text = value if isinstance(value, str) else _json(value)
    content = text.encode("utf-8", "replace")
    if len(content) <= most:
        return value
    digest = hashlib.sha256(content).hexdigest()
    return f"{text[:SHOWN]}… ({len(content):,} bytes, SHA-256 {digest})"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
