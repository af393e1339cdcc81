"""Audit events about agents as sentences: who did what, and what changed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from core.days import DAY, HOUR
from core.formatting import absolute_time, counted, day_of, duration, shortened
from organizations.audit.actions import AuditAction
from organizations.models import AuditEvent, User

LONGEST = 60
FIELDS = {
    "agent_type": "type",
    "deployment_env": "environment",
    "runbook_url": "runbook",
    "email": "address",
}


@dataclass(frozen=True)
class Sentence:
    """Who, and what it did; the actor's label is what the log holds."""

    event: AuditEvent
    who: str
    what: str


def sentences_of(events: Iterable[AuditEvent], now: datetime) -> list[Sentence]:
    """The events in sentences, with the names of people who have one; each action must be one of
    CHANGES. One query.
    """
    found = list(events)
    names = names_of({each.actor_id for each in found if each.actor_kind == "person"})
    return [
        Sentence(
            each,
            names.get(each.actor_id) or each.actor_label,
            TELLERS[each.action](each, each.metadata, now),
        )
        for each in found
    ]


def names_of(people: set[UUID | None]) -> dict[UUID | None, str]:
    users = User.objects.filter(pk__in=[each for each in people if each])
    return dict(users.exclude(name="").values_list("pk", "name"))


Teller = Callable[[AuditEvent, dict[str, Any], datetime], str]


def subject_of(event: AuditEvent) -> str:
    """The name of the agent or resource, or the credential as it was called then."""
    label = event.target_label
    if event.target_type == "agent":
        return label.partition("@")[0]
    return f"the {label}" if event.target_type == "credential" else label


def _verb(verb: str) -> Teller:
    return lambda event, metadata, now: f"{verb} {subject_of(event)}."


def _created(event: AuditEvent, metadata: dict[str, Any], now: datetime) -> str:
    end = time_in(metadata.get("expiresAt"))
    until = f", valid until {absolute_time(end, now)}" if end else ""
    return f"created the {event.target_label}{until}."


def _rotated(event: AuditEvent, metadata: dict[str, Any], now: datetime) -> str:
    grace = metadata.get("graceSeconds")
    end = time_in(metadata.get("oldSecretsWorkUntil"))
    if grace and end:
        rest = f", with the old one valid until {absolute_time(end, now)}."
    elif isinstance(grace, int) and grace:
        rest = f", with the old one valid for another {_length(timedelta(seconds=grace))}."
    else:
        rest = ". The old one stopped at once."
    return f"gave the {event.target_label} a new secret{rest}"


def _length(grace: timedelta) -> str:
    """A grace period as people choose it: days and hours are whole ones."""
    if grace % DAY == timedelta():
        return counted(grace // DAY, "days")
    return counted(grace // HOUR, "hours") if grace % HOUR == timedelta() else duration(grace)


def _renamed(event: AuditEvent, metadata: dict[str, Any], now: datetime) -> str:
    before, after = metadata.get("nameBefore"), metadata.get("name")
    if not before:
        return f"named a credential {after}." if after else "renamed a credential."
    return (
        f"renamed the credential {before} to {after}."
        if after
        else f"removed the name {before} from a credential."
    )


def _ended(event: AuditEvent, metadata: dict[str, Any], now: datetime) -> str:
    hints = ", ".join(f"…{hint}" for hint in metadata.get("secretHints") or [] if hint)
    secrets = "the old secret" if metadata.get("oldSecrets", 1) == 1 else "the old secrets"
    return " ".join(filter(None, ["ended", secrets, hints, f"of the {event.target_label}."]))


def _updated(event: AuditEvent, metadata: dict[str, Any], now: datetime) -> str:
    return " ".join(changes_in(metadata)) or f"changed {subject_of(event)}."


def changes_in(metadata: dict[str, Any], of: str = "") -> list[str]:
    """What changed, a sentence for each field; `of` follows the name of the field."""
    before, after = metadata.get("before"), metadata.get("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    return [_change(name, of, before.get(name), value) for name, value in after.items()]


def _change(name: str, of: str, before: Any, after: Any) -> str:
    word = f"{FIELDS.get(name, name.replace('_', ' '))}{of}"
    if isinstance(before, list) and isinstance(after, list):
        added = [str(each) for each in after if each not in before]
        removed = [str(each) for each in before if each not in after]
        told = [f"added {', '.join(added)}"] if added else []
        told += [f"removed {', '.join(removed)}"] if removed else []
        return f"changed the {word}: {' and '.join(told) or 'their order'}."
    if not before:
        return f"set the {word} to {shortened(after, LONGEST)}."
    if after in ("", None):
        return f"removed the {word} {shortened(before, LONGEST)}."
    return f"changed the {word} from {shortened(before, LONGEST)} to {shortened(after, LONGEST)}."


def _allowed(event: AuditEvent, metadata: dict[str, Any], now: datetime) -> str:
    scopes = metadata.get("scopes")
    with_scopes = (
        f" with {', '.join(map(str, scopes))}" if isinstance(scopes, list) and scopes else ""
    )
    return f"allowed tokens for {event.target_label}{with_scopes}."


def _snoozed(event: AuditEvent, metadata: dict[str, Any], now: datetime) -> str:
    end = time_in(metadata.get("until"))
    until = f" until {day_of(end, now)}" if end else ""
    reason = str(metadata.get("reason", "")).removesuffix(".")
    return f"snoozed “{event.target_label}”{until}: {reason}."


def time_in(value: Any) -> datetime | None:
    """The time that metadata holds as text."""
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else timezone.make_aware(found)


TELLERS: dict[str, Teller] = {
    AuditAction.FINDING_SNOOZED: _snoozed,
    AuditAction.FINDING_SNOOZE_ENDED: lambda event, metadata, now: (
        f"ended the snooze of “{event.target_label}”."
    ),
    AuditAction.AGENT_CREATED: _verb("registered"),
    AuditAction.AGENT_UPDATED: _updated,
    AuditAction.AGENT_SUSPENDED: _verb("suspended"),
    AuditAction.AGENT_REACTIVATED: _verb("reactivated"),
    AuditAction.AGENT_DECOMMISSIONED: _verb("decommissioned"),
    AuditAction.CREDENTIAL_GENERATED: _created,
    AuditAction.CREDENTIAL_ROTATED: _rotated,
    AuditAction.CREDENTIAL_RENAMED: _renamed,
    AuditAction.CREDENTIAL_OLD_SECRETS_ENDED: _ended,
    AuditAction.CREDENTIAL_REVOKED: _verb("revoked"),
    AuditAction.RESOURCE_AGENT_ALLOWED: _allowed,
    AuditAction.RESOURCE_AGENT_REMOVED: lambda event, metadata, now: (
        f"revoked access to {event.target_label}."
    ),
}
CHANGES = tuple(TELLERS)
"""The actions that have a sentence."""
