"""The actions that the audit log records."""

from enum import StrEnum


class AuditAction(StrEnum):
    """The names of recorded actions. A test compares them with `docs/reference/audit.md`."""

    AGENT_CREATED = "agent.created"
    AGENT_UPDATED = "agent.updated"
    AGENT_SUSPENDED = "agent.suspended"
    AGENT_REACTIVATED = "agent.reactivated"
    AGENT_DECOMMISSIONED = "agent.decommissioned"
    CREDENTIAL_GENERATED = "credential.generated"
    CREDENTIAL_ROTATED = "credential.rotated"
    CREDENTIAL_RENAMED = "credential.renamed"
    CREDENTIAL_OLD_SECRETS_ENDED = "credential.old_secrets_ended"
    CREDENTIAL_REVOKED = "credential.revoked"
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - no password
    TOKEN_EVENTS_EXPIRY_STARTED = "token_events.expiry_started"  # noqa: S105 - no password
    TOKEN_EVENTS_EXPIRED = "token_events.expired"  # noqa: S105 - no password
    AUTH_FAILED = "auth.failed"
    RESOURCE_CREATED = "resource.created"
    RESOURCE_UPDATED = "resource.updated"
    RESOURCE_DELETED = "resource.deleted"
    RESOURCE_AGENT_ALLOWED = "resource.agent_allowed"
    RESOURCE_AGENT_REMOVED = "resource.agent_removed"
    ORG_CREATED = "org.created"
    ORG_UPDATED = "org.updated"
    ORG_SUSPENDED = "org.suspended"
    ORG_REACTIVATED = "org.reactivated"
    ORG_DELETED = "org.deleted"
    ORG_MEMBER_ADDED = "org.member_added"
    ORG_MEMBER_ROLE_CHANGED = "org.member_role_changed"
    ORG_MEMBER_REMOVED = "org.member_removed"
    ORG_INVITATION_CREATED = "org.invitation_created"
    ORG_INVITATION_REVOKED = "org.invitation_revoked"
    ORG_INVITATION_ACCEPTED = "org.invitation_accepted"
    SESSION_STARTED = "session.started"
    SESSION_ENDED = "session.ended"
    SESSION_PASSWORD_CHANGED = "session.password_changed"  # noqa: S105 - no password
    FINDING_SNOOZED = "finding.snoozed"
    FINDING_SNOOZE_ENDED = "finding.snooze_ended"
    VIEW_SHARED = "view.shared"
    VIEW_UPDATED = "view.updated"
    VIEW_UNSHARED = "view.unshared"
    VIEW_DELETED = "view.deleted"
    AUDIT_EXPORTED = "audit.exported"
    SIGNING_KEY_ROTATED = "signing_key.rotated"
    PERSON_DEACTIVATED = "person.deactivated"
    PERSON_REACTIVATED = "person.reactivated"
    PERSON_ADDRESS_CHANGED = "person.address_changed"
    PERSON_PASSWORD_RESET = "person.password_reset"  # noqa: S105 - no password
    PERSON_PASSWORD_RESET_OFFERED = "person.password_reset_offered"  # noqa: S105 - no password
    EXECUTION_STOPPED = "execution.stopped"
    EXECUTION_DELETED = "execution.deleted"
    EXECUTION_EXPIRY_STARTED = "execution.expiry_started"
    EXECUTION_EXPIRED = "execution.expired"
    EXECUTION_IMPORT_STARTED = "execution.import_started"
    EXECUTION_IMPORT_FINISHED = "execution.import_finished"
    ERROR_GROUP_RESOLVED = "error_group.resolved"
    ERROR_GROUP_REOPENED = "error_group.reopened"
    ADMIN_ORGANIZATION_CHOSEN = "admin.organization_chosen"


OF_ONESELF = frozenset(
    {
        AuditAction.SESSION_STARTED,
        AuditAction.SESSION_ENDED,
        AuditAction.SESSION_PASSWORD_CHANGED,
        AuditAction.PERSON_ADDRESS_CHANGED,
        AuditAction.PERSON_PASSWORD_RESET,
        AuditAction.PERSON_PASSWORD_RESET_OFFERED,
    }
)
"""Changes of a person's own account and sessions, which need no right in an organization."""
