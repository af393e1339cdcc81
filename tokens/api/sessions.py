from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.utils.decorators import method_decorator
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import DomainError, Forbidden, TooManyRequests
from core.examples import example
from core.handlers import domain_error_response
from core.serializers import StrictSerializer
from organizations.api.organizations import OrganizationNotFound
from organizations.api.viewsets import OrganizationScopedViewSet
from organizations.models import Organization
from tokens import examples
from tokens.sessions import (
    RefreshRefused,
    SessionTokens,
    log_in,
    log_out,
    organizations_of,
    refresh_session,
    switch_organization,
)

MAX_ORGANIZATION_ID = len("org-") + 36


def validate_organization_id(text: str) -> None:
    if Organization.parse_public_id(text) is None:
        raise serializers.ValidationError("Use `org-` and a UUID.")


@example(sent=examples.LOG_IN)
class LogInSerializer(StrictSerializer):
    email = serializers.CharField(
        max_length=254, help_text="The email address, or the account's short name."
    )
    password = serializers.CharField(
        max_length=4096, trim_whitespace=False, style={"input_type": "password"}
    )
    organizationId = serializers.CharField(
        max_length=MAX_ORGANIZATION_ID,
        required=False,
        validators=[validate_organization_id],
        help_text="The default is the organization that the person joined first.",
    )


@example(sent=examples.REFRESH)
class RefreshSerializer(StrictSerializer):
    refreshToken = serializers.CharField(max_length=8192)


@example(sent=examples.SWITCH)
class SwitchSerializer(StrictSerializer):
    organizationId = serializers.CharField(
        max_length=MAX_ORGANIZATION_ID, validators=[validate_organization_id]
    )


@example(examples.SESSION_TOKENS)
class SessionTokensSerializer(serializers.Serializer[SessionTokens]):
    accessToken = serializers.CharField()
    refreshToken = serializers.CharField(
        help_text="It works once; the response contains the next one."
    )
    tokenType = serializers.CharField(help_text="Always `Bearer`.")
    expiresIn = serializers.IntegerField(help_text="Seconds until the access token expires.")
    organizationId = serializers.CharField()
    role = serializers.CharField()


class SessionOrganizationSerializer(serializers.Serializer[Organization]):
    organizationId = serializers.CharField(source="public_id")
    name = serializers.CharField()


@example(examples.SESSION)
class SessionSerializer(serializers.Serializer[object]):
    """The bearer of the token, the organization, and what the token allows."""

    kind = serializers.CharField(help_text="`person` or `agent`.")
    id = serializers.UUIDField()
    email = serializers.CharField()
    organizationId = serializers.CharField()
    role = serializers.CharField(allow_blank=True)
    scopes = serializers.ListField(child=serializers.CharField())
    organizations = SessionOrganizationSerializer(
        many=True, help_text="The organizations that a person can switch to, or the agent's own."
    )


def _tokens(tokens: SessionTokens) -> Response:
    return Response(tokens.as_body(), headers={"Cache-Control": "no-store"})


@method_decorator([login_not_required, transaction.non_atomic_requests], name="dispatch")
class LogInView(APIView):
    """Public, because the password is the proof. Each counted failure is committed by itself."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        tags=["Sessions"],
        request=LogInSerializer,
        responses=SessionTokensSerializer,
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Sign in with an email address and a password.

        Ten failures a minute for one name and network, or 100 for one network, lead to 429.
        """
        serializer = LogInSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        try:
            tokens = log_in(
                request._request,
                email=fields["email"],
                password=fields["password"],
                organization_id=Organization.parse_public_id(fields.get("organizationId", "")),
            )
        except DomainError as error:
            return domain_error_response(error)  # returned, not raised, so that the count is kept
        return _tokens(tokens)


@method_decorator([login_not_required, transaction.non_atomic_requests], name="dispatch")
class RefreshView(APIView):
    """Public, because the refresh token is the proof, and the access token may have expired."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        tags=["Sessions"],
        request=RefreshSerializer,
        responses=SessionTokensSerializer,
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for new tokens.

        If the response was lost, send the token again within 30 seconds. A later second use ends
        the session. After 120 refreshes of a session in an hour the response is 429, and the token
        still works later.
        """
        serializer = RefreshSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        text = serializer.validated_data["refreshToken"]
        try:
            tokens = refresh_session(request._request, text)
        except TooManyRequests as error:
            return domain_error_response(error)
        if tokens is None:
            return domain_error_response(RefreshRefused())
        return _tokens(tokens)


@extend_schema(tags=["Sessions"])
class SessionViewSet(OrganizationScopedViewSet):
    """The session that the bearer token belongs to."""

    required_scopes = {"retrieve": (), "switch": (), "log_out": ()}

    @extend_schema(responses=SessionSerializer)
    def retrieve(self, request: Request) -> Response:
        """Describe the bearer of the token, a person or an agent."""
        actor = self.actor
        body = {
            "kind": actor.kind,
            "id": actor.id,
            "email": actor.label,
            "organizationId": actor.organization.public_id,
            "role": actor.role,
            "scopes": sorted(actor.scopes),
            "organizations": organizations_of(actor.user) if actor.user else [actor.organization],
        }
        return Response(SessionSerializer(body).data)

    @extend_schema(request=SwitchSerializer, responses=SessionTokensSerializer)
    def switch(self, request: Request) -> Response:
        """Get tokens for another of the person's organizations, in the same session."""
        session_id = self._session_id()
        serializer = SwitchSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = Organization.parse_public_id(serializer.validated_data["organizationId"])
        tokens = wanted and switch_organization(
            request._request, session_id, wanted, actor=self.actor
        )
        if not tokens:
            raise OrganizationNotFound
        return _tokens(tokens)

    @extend_schema(request=None, responses={204: None})
    def log_out(self, request: Request) -> Response:
        """End the session with all of its tokens."""
        log_out(self._session_id(), actor=self.actor)
        return Response(status=204)

    def _session_id(self) -> UUID:
        if self.actor.session_id is None:
            raise Forbidden("Only a person has a session.")
        return self.actor.session_id
