"""Models of organizations and their people.

User, Organization, Membership and Principal are read before the tenant is known, so they are not
isolated; all others inherit OrganizationScopedModel.
"""

from organizations.models.audit import AuditChain, AuditEvent, AuditEventQuerySet
from organizations.models.invitation import Invitation, InvitationQuerySet
from organizations.models.organization import (
    MAX_RETENTION_DAYS,
    ORGANIZATION_ID_PREFIX,
    UNIDENTIFIED_ORGANIZATION_ID,
    Membership,
    MembershipQuerySet,
    Organization,
    OrganizationQuerySet,
    Principal,
)
from organizations.models.people import AccountLink, User, UserManager
from organizations.models.requests import AnsweredRequest, Attempt
from organizations.models.saved_view import SavedList, SavedView, SavedViewQuerySet, StartView
from organizations.models.scoped import OrganizationScopedModel, OrganizationScopedQuerySet

__all__ = [
    "MAX_RETENTION_DAYS",
    "ORGANIZATION_ID_PREFIX",
    "UNIDENTIFIED_ORGANIZATION_ID",
    "AccountLink",
    "AnsweredRequest",
    "Attempt",
    "AuditChain",
    "AuditEvent",
    "AuditEventQuerySet",
    "Invitation",
    "InvitationQuerySet",
    "Membership",
    "MembershipQuerySet",
    "Organization",
    "OrganizationQuerySet",
    "OrganizationScopedModel",
    "OrganizationScopedQuerySet",
    "Principal",
    "SavedList",
    "SavedView",
    "SavedViewQuerySet",
    "StartView",
    "User",
    "UserManager",
]
