from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.db.models import QuerySet
from django.utils.decorators import method_decorator
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import mixins
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.addresses import client_address
from core.errors import DomainError, Forbidden, NotFound
from core.handlers import domain_error_response
from core.keyset import Joined
from organizations.actions import (
    accept_invitation,
    add_agent,
    change_role,
    create_organization,
    delete_organization,
    invite,
    remove_member,
    revoke_invitation,
    update_organization,
)
from organizations.actions.invitations import InvitationNotFound
from organizations.actions.members import MemberNotFound
from organizations.api.idempotency import ResponseWithSecret
from organizations.api.viewsets import OrganizationScopedViewSet
from organizations.models import Invitation, Membership, Organization, Principal
from organizations.serializers import (
    AcceptanceSerializer,
    AcceptedSerializer,
    InvitationSerializer,
    InvitationWithLinkSerializer,
    MemberSerializer,
    NewMemberSerializer,
    OrganizationChangeSerializer,
    OrganizationSerializer,
    RoleSerializer,
    check_role,
)

ADMINISTRATION = ("admin:orgs",)
ORGANIZATION_ID = OpenApiParameter(
    "organizationId",
    OpenApiTypes.STR,
    OpenApiParameter.PATH,
    description="`org-` followed by a UUID.",
)
MEMBER_ID = OpenApiParameter("memberId", OpenApiTypes.UUID, OpenApiParameter.PATH)
INVITATION_ID = OpenApiParameter("invitationId", OpenApiTypes.UUID, OpenApiParameter.PATH)


class OrganizationNotFound(NotFound):
    code = "ORGANIZATION_NOT_FOUND"
    message = "There is no organization with this id."


class OwnOrganizationViewSet(OrganizationScopedViewSet):
    """For routes below `organizations/{organizationId}`. Raise OrganizationNotFound unless it is
    the caller's own."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        wanted = Organization.parse_public_id(kwargs.get("organizationId", ""))
        if "organizationId" in kwargs and wanted != self.organization.pk:
            raise OrganizationNotFound


@extend_schema(tags=["Organizations"])
class OrganizationViewSet(mixins.ListModelMixin, OwnOrganizationViewSet):
    """The caller's organizations."""

    queryset = Organization.objects.all()
    serializer_class = OrganizationSerializer
    not_found = OrganizationNotFound
    required_scopes = {
        "list": ADMINISTRATION,
        "create": ADMINISTRATION,
        "retrieve": ADMINISTRATION,
        "partial_update": ADMINISTRATION,
        "destroy": ADMINISTRATION,
    }
    repeatable = frozenset({"create"})

    def list(self, request: Request) -> Response:
        """A person's organizations in the order of joining, or an agent's own."""
        return super().list(request)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.actor.user is not None:
            return Organization.objects.of_person(self.actor.user)
        return queryset

    @extend_schema(responses={201: OrganizationSerializer})
    def create(self, request: Request) -> Response:
        """Create an organization. The person who sends the request becomes its owner."""
        if self.actor.user is None:
            raise Forbidden("Only a person can create an organization.")
        serializer = OrganizationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        membership = create_organization(
            self.actor.user,
            ip_address=self.actor.ip_address,
            user_agent=self.actor.user_agent,
            **serializer.validated_data,
        )
        return Response(OrganizationSerializer(membership.organization).data, status=201)

    @extend_schema(parameters=[ORGANIZATION_ID])
    def retrieve(self, request: Request, organizationId: str) -> Response:
        """The caller's own organization."""
        return Response(OrganizationSerializer(self.organization).data)

    @extend_schema(parameters=[ORGANIZATION_ID], request=OrganizationChangeSerializer)
    def partial_update(self, request: Request, organizationId: str) -> Response:
        """Change the name, slug, time zone or signing algorithm."""
        serializer = OrganizationChangeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        organization = update_organization(
            self.organization, actor=self.actor, **serializer.validated_data
        )
        return Response(OrganizationSerializer(organization).data)

    @extend_schema(parameters=[ORGANIZATION_ID], responses={204: None})
    def destroy(self, request: Request, organizationId: str) -> Response:
        """Delete the organization permanently. Requires an owner, and that no agent is active."""
        if not self.actor.is_owner:
            raise Forbidden("Only an owner can delete the organization.")
        delete_organization(self.organization, actor=self.actor)
        return Response(status=204)


@extend_schema(tags=["Members"], parameters=[ORGANIZATION_ID])
class MemberViewSet(OwnOrganizationViewSet):
    """The members of the organization: people, and agents that were made members."""

    queryset = Membership.objects.select_related("user")
    serializer_class = MemberSerializer
    required_scopes = {
        "list": ADMINISTRATION,
        "create": ADMINISTRATION,
        "partial_update": ADMINISTRATION,
        "destroy": ADMINISTRATION,
    }
    repeatable = frozenset({"create"})

    @extend_schema(responses=MemberSerializer(many=True))
    def list(self, request: Request, organizationId: str) -> Response:
        """The members, in the order of joining."""
        columns = ("created_at", "pk")
        people = self.get_queryset().values_list(*columns, named=True)
        agents = self._agents().values_list(*columns, named=True)
        everyone: Any = Joined((people, agents), columns)
        keys = [each.pk for each in self.paginate_queryset(everyone) or []]
        by_key = {member.pk: member for member in self.get_queryset().filter(pk__in=keys)}
        by_key |= {member.pk: member for member in self._agents().filter(pk__in=keys)}
        members: Any = [by_key[key] for key in keys]
        return self.get_paginated_response(MemberSerializer(members, many=True).data)

    @extend_schema(
        request=NewMemberSerializer,
        responses={201: MemberSerializer, 202: InvitationWithLinkSerializer},
    )
    def create(self, request: Request, organizationId: str) -> Response:
        """Make an agent of the organization a member (201), or invite a person to become one (202).

        A person is a member once they accept. The response is the same whether or not anybody has
        an account with this address.
        """
        serializer = NewMemberSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        if "email" in fields:
            invitation, link = invite(self.organization, actor=self.actor, **fields)
            return invited(invitation, link, status=202)
        member = add_agent(
            self.organization, actor=self.actor, agent_id=fields["agentId"], role=fields["role"]
        )
        return Response(MemberSerializer(member).data, status=201)

    @extend_schema(parameters=[MEMBER_ID], request=RoleSerializer, responses=MemberSerializer)
    def partial_update(self, request: Request, organizationId: str, memberId: UUID) -> Response:
        """Change a member's role. Only an owner can make or remove owners."""
        member = self._member(memberId)
        serializer = RoleSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        role = serializer.validated_data["role"]
        check_role(role, is_agent=isinstance(member, Principal))
        return Response(MemberSerializer(change_role(member, actor=self.actor, role=role)).data)

    @extend_schema(parameters=[MEMBER_ID], responses={204: None})
    def destroy(self, request: Request, organizationId: str, memberId: UUID) -> Response:
        """End a membership. The last owner cannot leave."""
        remove_member(self._member(memberId), actor=self.actor)
        return Response(status=204)

    def _agents(self) -> QuerySet[Principal]:
        return Principal.objects.filter(organization=self.organization).exclude(role="")

    def _member(self, key: UUID) -> Membership | Principal:
        people = self.get_queryset().select_related("organization", "user")
        agents = self._agents().select_related("organization")
        member: Membership | Principal | None = (
            people.filter(pk=key).first() or agents.filter(pk=key).first()
        )
        if member is None:
            raise MemberNotFound
        return member


def invited(invitation: Invitation, link: str, *, status: int) -> Response:
    body = {**InvitationSerializer(invitation).data, "acceptUrl": link or None}
    if link:
        return ResponseWithSecret(body, secret_field="acceptUrl", status=status)  # noqa: S106
    return Response(body, status=status)


@extend_schema(tags=["Invitations"], parameters=[ORGANIZATION_ID])
class InvitationViewSet(mixins.ListModelMixin, OwnOrganizationViewSet):
    """Invitations of email addresses."""

    queryset = Invitation.objects.all()
    serializer_class = InvitationSerializer
    lookup_url_kwarg = "invitationId"
    not_found = InvitationNotFound
    required_scopes = {
        "list": ADMINISTRATION,
        "create": ADMINISTRATION,
        "destroy": ADMINISTRATION,
    }
    repeatable = frozenset({"create"})

    def list(self, request: Request, organizationId: str) -> Response:
        """All invitations, newest first, without their links."""
        return super().list(request)

    def narrow_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.backed()  # type: ignore[attr-defined]

    @extend_schema(request=InvitationSerializer, responses={201: InvitationWithLinkSerializer})
    def create(self, request: Request, organizationId: str) -> Response:
        """Invite an email address. The response is the only place that shows the link."""
        serializer = InvitationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        invitation, link = invite(self.organization, actor=self.actor, **serializer.validated_data)
        return invited(invitation, link, status=201)

    @extend_schema(parameters=[INVITATION_ID], responses={204: None})
    def destroy(self, request: Request, organizationId: str, invitationId: UUID) -> Response:
        """Revoke an open invitation. Its link stops working at once."""
        revoke_invitation(self.get_object(), actor=self.actor)
        return Response(status=204)


@method_decorator([login_not_required, transaction.non_atomic_requests], name="dispatch")
class AcceptInvitationView(APIView):
    """Public, because the invitation's secret is the proof and the invited person may have no
    account."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        tags=["Invitations"],
        request=AcceptanceSerializer,
        responses={201: AcceptedSerializer},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Join the inviting organization, with an existing account of the invited address or a new
        one.

        If the password belongs to an account of that address, that account joins. Otherwise a new
        account with this password is created. An unverified address proves nothing to other
        organizations.
        """
        serializer = AcceptanceSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        try:
            membership = accept_invitation(
                **fields,
                ip_address=client_address(request._request),
                user_agent=request.headers.get("User-Agent", ""),
            )
        except DomainError as error:
            # Returned, not raised, so that a counted failure is kept.
            return domain_error_response(error)
        return Response(AcceptedSerializer(membership).data, status=201)
