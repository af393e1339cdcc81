from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api import AGENT_ID, AgentNotFound
from agents.models import Agent
from core.errors import NotFound
from organizations.api.idempotency import ResponseWithSecret
from organizations.api.viewsets import OrganizationScopedViewSet
from tokens.actions import (
    create_credential,
    end_old_secrets,
    rename_credential,
    revoke_credential,
    rotate_credential,
)
from tokens.models import Credential
from tokens.serializers import (
    CredentialChangeSerializer,
    CredentialSerializer,
    CredentialWithSecretSerializer,
    RotationSerializer,
)

CREDENTIAL_ID = OpenApiParameter("credentialId", OpenApiTypes.UUID, OpenApiParameter.PATH)


class CredentialNotFound(NotFound):
    code = "CREDENTIAL_NOT_FOUND"
    message = "The agent has no credential with this id."


@extend_schema(tags=["Credentials"], parameters=[AGENT_ID])
class CredentialViewSet(mixins.ListModelMixin, OrganizationScopedViewSet):
    """The client secrets of an agent. A secret is shown once."""

    queryset = Credential.objects.with_usability().select_related("agent")
    serializer_class = CredentialSerializer
    lookup_url_kwarg = "credentialId"
    not_found = CredentialNotFound
    required_scopes = {
        "list": ("agents:read",),
        "create": ("agents:write",),
        "rotate": ("agents:write",),
        "end_old": ("agents:write",),
        "partial_update": ("agents:write",),
        "destroy": ("agents:write",),
    }

    repeatable = frozenset({"create", "rotate"})

    def narrow_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(agent_id=self.kwargs["agentId"])

    def list(self, request: Request, agentId: str) -> Response:
        """The agent's credentials without their secrets, newest first."""
        self._agent()
        return super().list(request)

    @extend_schema(request=CredentialSerializer, responses={201: CredentialWithSecretSerializer})
    def create(self, request: Request, agentId: str) -> Response:
        """Create a credential. The response is the only place that shows its secret."""
        agent = self._agent()
        serializer = CredentialSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        made = create_credential(agent, actor=self.actor, **serializer.validated_data)
        return _with_secret(*made, status=201)

    @extend_schema(
        parameters=[CREDENTIAL_ID],
        request=RotationSerializer,
        responses={200: CredentialWithSecretSerializer},
    )
    def rotate(self, request: Request, agentId: str, credentialId: str) -> Response:
        """Replace the secret under the same id. The old one ends at once or after `graceSeconds`.

        If the credential expires, its expiry is renewed as well.
        """
        self._agent()
        serializer = RotationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        rotated = rotate_credential(
            self.get_object(),
            actor=self.actor,
            grace=timedelta(seconds=asked["graceSeconds"]),
            expires_at=asked.get("expiresAt", "same length"),
        )
        return _with_secret(*rotated, status=200)

    @extend_schema(parameters=[CREDENTIAL_ID], request=None)
    def end_old(self, request: Request, agentId: str, credentialId: str) -> Response:
        """End the grace period of all old secrets now. Live tokens stay valid."""
        self._agent()
        credential = end_old_secrets(self.get_object(), actor=self.actor)
        return Response(CredentialSerializer(credential).data)

    @extend_schema(parameters=[CREDENTIAL_ID], request=CredentialChangeSerializer)
    def partial_update(self, request: Request, agentId: str, credentialId: str) -> Response:
        """Rename a credential. Earlier requests keep the old name."""
        self._agent()
        serializer = CredentialChangeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        name = serializer.validated_data["name"]
        credential = rename_credential(self.get_object(), actor=self.actor, name=name)
        return Response(CredentialSerializer(credential).data)

    @extend_schema(parameters=[CREDENTIAL_ID], responses={204: None})
    def destroy(self, request: Request, agentId: str, credentialId: str) -> Response:
        """Revoke a credential and the tokens obtained with it. This cannot be undone."""
        self._agent()
        revoke_credential(self.get_object(), actor=self.actor)
        return Response(status=204)

    def _agent(self) -> Agent:
        agents = Agent.objects.for_organization(self.organization).select_related("organization")
        agent = agents.filter(pk=self.kwargs["agentId"]).first()
        if agent is None:
            raise AgentNotFound
        return agent


def _with_secret(credential: Credential, secret: str, *, status: int) -> Response:
    body = CredentialSerializer(credential).data | {"clientSecret": secret}
    return ResponseWithSecret(
        body,
        secret_field="clientSecret",  # noqa: S106 - a name
        status=status,
        headers={"Cache-Control": "no-store"},
    )
