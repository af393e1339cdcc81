"""REST API routes of organizations, members, invitations and the audit log."""

from django.urls import path

from organizations.api.accounts import PasswordResetView
from organizations.api.audit import AuditViewSet
from organizations.api.organizations import (
    AcceptInvitationView,
    InvitationViewSet,
    MemberViewSet,
    OrganizationViewSet,
)

api = [
    path("auth/password-reset", PasswordResetView.as_view(), name="auth-password-reset"),
    # Organizations, their members and invitations
    path(
        "organizations",
        OrganizationViewSet.as_view({"get": "list", "post": "create"}),
        name="organization-list",
    ),
    path(
        "organizations/<str:organizationId>",
        OrganizationViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
        ),
        name="organization-detail",
    ),
    path(
        "organizations/<str:organizationId>/members",
        MemberViewSet.as_view({"get": "list", "post": "create"}),
        name="member-list",
    ),
    path(
        "organizations/<str:organizationId>/members/<uuid:memberId>",
        MemberViewSet.as_view({"patch": "partial_update", "delete": "destroy"}),
        name="member-detail",
    ),
    path(
        "organizations/<str:organizationId>/invitations",
        InvitationViewSet.as_view({"get": "list", "post": "create"}),
        name="invitation-list",
    ),
    path(
        "organizations/<str:organizationId>/invitations/<uuid:invitationId>",
        InvitationViewSet.as_view({"delete": "destroy"}),
        name="invitation-detail",
    ),
    path("invitations/accept", AcceptInvitationView.as_view(), name="invitation-accept"),
    # Audit log
    path("audit", AuditViewSet.as_view({"get": "list"}), name="audit-list"),
    path("audit/verify", AuditViewSet.as_view({"get": "verify"}), name="audit-verify"),
    path("audit/export", AuditViewSet.as_view({"get": "export"}), name="audit-export"),
    path("audit/<uuid:eventId>", AuditViewSet.as_view({"get": "retrieve"}), name="audit-detail"),
]
