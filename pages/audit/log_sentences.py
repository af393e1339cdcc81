"""Every event of the audit log as a sentence that names its subject, for the pages of the log.

The page of an agent tells fewer events, in words that leave the agent out (sentences.py).
"""

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agents.models import Agent
from core.formatting import counted, day_of, shortened
from executions.models import ExecutionError
from organizations.audit.actions import AuditAction
from organizations.models import AuditEvent, Organization
from pages.audit.sentences import (
    CHANGES,
    LONGEST,
    TELLERS,
    Sentence,
    changes_in,
    names_of,
    subject_of,
    time_in,
)

LISTS = {"executions": "runs", "errors": "errors", "requests": "requests", "audit": "audit events"}
# Other reasons are their words with spaces.
FAILURES = {
    "client_authentication": "its secret or key was refused",
    "organization_not_active": "the organization is not active",
    "no_active_organization": "no organization is active",
    "refresh_token_used_twice": "a refresh token was used twice",
}


@dataclass(frozen=True)
class Told:
    """An event with the words that it holds only by id."""

    event: AuditEvent
    now: datetime
    agent: str
    """The name of the agent that the event is about; empty if there is none."""
    error: str
    """An error of the group that the event is about; empty if all have been deleted."""

    @property
    def label(self) -> str:
        return self.event.target_label

    def get(self, name: str) -> Any:
        """A value of the metadata; empty if there is none."""
        value = self.event.metadata.get(name)
        return "" if value is None else value

    @property
    def member(self) -> str:
        return str(self.get("member") or self.agent or "a member")

    @property
    def is_of_oneself(self) -> bool:
        return str(self.event.actor_id) == self.event.target_id


def log_sentences(
    organization: Organization, events: Iterable[AuditEvent], now: datetime
) -> list[Sentence]:
    """The organization's events in sentences. At most three queries."""
    found = list(events)
    people = names_of({each.actor_id for each in found if each.actor_kind == "person"})
    agents = _agents(organization, {each.agent_id for each in found} - {None})
    errors = _errors(organization, [each for each in found if each.action in OF_GROUPS])
    return [
        Sentence(
            each,
            people.get(each.actor_id) or each.actor_label or "Somebody",
            _told(Told(each, now, agents.get(each.agent_id, ""), errors.get(each.target_id, ""))),
        )
        for each in found
    ]


def _agents(organization: Organization, ids: set[UUID | None]) -> dict[UUID | None, str]:
    agents = Agent.objects.for_organization(organization).filter(pk__in=ids) if ids else ()
    return {agent.pk: agent.name for agent in agents}


def _errors(organization: Organization, events: list[AuditEvent]) -> dict[str, str]:
    """The newest message of each event's group, by the id of the event's target."""
    if not events:
        return {}
    rows = ExecutionError.objects.for_organization(organization).order_by("-created_at")
    newest = rows.values_list("fingerprint", "message")
    # One end of an index for each group, which may have a million errors.
    first, *others = (
        newest.filter(fingerprint=each)[:1] for each in {event.target_label for event in events}
    )
    messages = dict(first.union(*others, all=True))
    return {each.target_id: messages.get(each.target_label, "") for each in events}


def _told(told: Told) -> str:
    own = OWN_TELLERS.get(told.event.action)
    if own:
        return f"{own(told)}."
    if told.event.action not in CHANGES:  # of a release that is not this one
        return f"did {told.event.action}."
    event = told.event
    if event.target_type == "credential" and told.agent:
        event = copy(event)
        event.target_label = f"{event.target_label} of {told.agent}"
    return TELLERS[event.action](event, event.metadata, told.now)


Teller = Callable[[Told], str]


def _on_label(verb: str) -> Teller:
    return lambda told: f"{verb} {told.label}"


def _always(words: str) -> Teller:
    return lambda told: words


def _changed(told: Told) -> str:
    """Of which agent or resource what changed."""
    found = changes_in(told.event.metadata, of=f" of {subject_of(told.event)}")
    return " ".join(found).removesuffix(".") or f"changed {subject_of(told.event)}"


def _organization_changed(told: Told) -> str:
    return " ".join(changes_in(told.event.metadata)).removesuffix(".") or "changed the settings"


def _allowed(told: Told) -> str:
    scopes = told.get("scopes")
    scoped = f" with {', '.join(map(str, scopes))}" if isinstance(scopes, list) and scopes else ""
    return f"allowed {told.agent or 'an agent'} tokens for {told.label}{scoped}"


def _failed(told: Told) -> str:
    reason = str(told.get("reason"))
    more = told.get("notRecorded")
    often = f", after {more:,} more that are not listed" if isinstance(more, int) else ""
    words = FAILURES.get(reason) or reason.replace("_", " ")
    return f"failed to authenticate{f': {words}' if words else ''}{often}"


def _role_changed(told: Told) -> str:
    before, after = told.get("before"), told.get("after")
    changed = f" from {before} to {after}" if before and after else ""
    return f"changed the role of {told.member}{changed}"


def _removed_member(told: Told) -> str:
    role = told.get("role")
    return f"removed {told.member}{f', who was {role}' if role else ''}"


def _as_role(words: str, name: str = "") -> Teller:
    def tell(told: Told) -> str:
        whom = f" {told.get('email') or told.member}" if name else ""
        return f"{words}{whom}{f' as {role}' if (role := told.get('role')) else ''}"

    return tell


def _view(verb: str) -> Teller:
    def tell(told: Told) -> str:
        of = LISTS.get(str(told.get("list")), "")
        return f"{verb} view “{told.label}”{f' of {of}' if of else ''}"

    return tell


def _view_updated(told: Told) -> str:
    before = told.get("before")
    old = before.get("name") if isinstance(before, dict) else None
    if old:
        return f"renamed the shared view “{old}” to “{told.label}”"
    return _view("changed the shared")(told)


def _account(verb: str, own: str = "") -> Teller:
    """What was done to an account, by its own person or by another one."""
    return lambda told: own if own and told.is_of_oneself else f"{verb} {told.label}"


def _expiry(verb: str, of: str) -> Teller:
    def tell(told: Told) -> str:
        since, days = time_in(told.get("before")), told.get("days")
        if since:
            return f"{verb} {of} from before {day_of(since, told.now)}"
        number = told.get("executions")
        what = counted(number, of) if isinstance(number, int) else of
        return f"{verb} {what}{f' older than {days} days' if days else ''}"

    return tell


def _removed_run(told: Told) -> str:
    reason = told.get("reason")
    return f"deleted the run {told.label}{f', which was {reason}' if reason else ''}"


def _group(verb: str) -> Teller:
    def tell(told: Told) -> str:
        group = f"“{shortened(told.error, LONGEST)}”" if told.error else "a group of errors"
        note = told.get("note")
        return f"{verb} {group}{f': {note}' if note else ''}".removesuffix(".")

    return tell


OF_GROUPS = (AuditAction.ERROR_GROUP_RESOLVED, AuditAction.ERROR_GROUP_REOPENED)
OWN_TELLERS: dict[str, Teller] = {
    AuditAction.AGENT_UPDATED: _changed,
    AuditAction.TOKEN_REVOKED: lambda told: (
        f"revoked a token{f' of {told.agent}' if told.agent else ''}"
    ),
    AuditAction.TOKEN_EVENTS_EXPIRY_STARTED: _expiry("began to delete", "token events"),
    AuditAction.TOKEN_EVENTS_EXPIRED: _expiry("deleted", "token events"),
    AuditAction.AUTH_FAILED: _failed,
    AuditAction.RESOURCE_CREATED: _on_label("created the resource"),
    AuditAction.RESOURCE_UPDATED: _changed,
    AuditAction.RESOURCE_DELETED: _on_label("deleted the resource"),
    AuditAction.RESOURCE_AGENT_ALLOWED: _allowed,
    AuditAction.RESOURCE_AGENT_REMOVED: lambda told: (
        f"revoked the access of {told.agent or 'an agent'} to {told.label}"
    ),
    AuditAction.ORG_CREATED: _always("created the organization"),
    AuditAction.ORG_UPDATED: _organization_changed,
    AuditAction.ORG_SUSPENDED: _always("suspended the organization"),
    AuditAction.ORG_REACTIVATED: _always("reactivated the organization"),
    AuditAction.ORG_DELETED: _always("deleted the organization"),
    AuditAction.ORG_MEMBER_ADDED: _as_role("added", "member"),
    AuditAction.ORG_MEMBER_ROLE_CHANGED: _role_changed,
    AuditAction.ORG_MEMBER_REMOVED: _removed_member,
    AuditAction.ORG_INVITATION_CREATED: _as_role("invited", "email"),
    AuditAction.ORG_INVITATION_REVOKED: _on_label("withdrew the"),
    AuditAction.ORG_INVITATION_ACCEPTED: _as_role("accepted an invitation and joined"),
    AuditAction.SESSION_STARTED: _always("signed in"),
    AuditAction.SESSION_ENDED: _always("signed out"),
    AuditAction.SESSION_PASSWORD_CHANGED: _always("changed their password"),
    AuditAction.VIEW_SHARED: _view("shared the"),
    AuditAction.VIEW_UPDATED: _view_updated,
    AuditAction.VIEW_UNSHARED: _view("stopped sharing the"),
    AuditAction.VIEW_DELETED: _view("removed the shared"),
    AuditAction.AUDIT_EXPORTED: _always("exported the audit log"),
    AuditAction.SIGNING_KEY_ROTATED: _always("rotated the signing key"),
    AuditAction.PERSON_DEACTIVATED: _account("deactivated the account of"),
    AuditAction.PERSON_REACTIVATED: _account("reactivated the account of"),
    AuditAction.PERSON_ADDRESS_CHANGED: _account(
        "changed the email address of", "changed their email address"
    ),
    AuditAction.PERSON_PASSWORD_RESET: _account("reset the password of", "reset their password"),
    AuditAction.PERSON_PASSWORD_RESET_OFFERED: _account(
        "made a link that resets the password of", "asked for a link to reset their password"
    ),
    AuditAction.EXECUTION_STOPPED: _on_label("stopped the run"),
    AuditAction.EXECUTION_DELETED: _removed_run,
    AuditAction.EXECUTION_EXPIRY_STARTED: _expiry("began to delete", "runs"),
    AuditAction.EXECUTION_EXPIRED: _expiry("deleted", "runs"),
    AuditAction.EXECUTION_IMPORT_STARTED: _always("began to import runs"),
    AuditAction.EXECUTION_IMPORT_FINISHED: _always("finished importing runs"),
    AuditAction.ERROR_GROUP_RESOLVED: _group("resolved"),
    AuditAction.ERROR_GROUP_REOPENED: _group("reopened"),
    AuditAction.ADMIN_ORGANIZATION_CHOSEN: _always("opened the organization in the administration"),
}
