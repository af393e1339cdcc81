from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api import AGENT_ID, AgentNotFound
from agents.models import Agent
from core.errors import NotFound
from organizations.api.viewsets import OrganizationScopedViewSet
from tokens.models import Resource, ResourceGrant
from tokens.resources import (
    ResourceNotFound,
    allow_agent,
    create_resource,
    delete_resource,
    remove_agent,
    update_resource,
)
from tokens.serializers import (
    GrantedScopesSerializer,
    ResourceChangeSerializer,
    ResourceGrantSerializer,
    ResourceSerializer,
)

RESOURCE_ID = OpenApiParameter("resourceId", OpenApiTypes.UUID, OpenApiParameter.PATH)


class GrantNotFound(NotFound):
    code = "GRANT_NOT_FOUND"
    message = "The agent is not allowed at this resource."


@extend_schema(tags=["Resources"])
class ResourceViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OrganizationScopedViewSet):
    """The resources that agents can get tokens for (RFC 8707)."""

    queryset = Resource.objects.all()
    serializer_class = ResourceSerializer
    lookup_url_kwarg = "resourceId"
    not_found = ResourceNotFound
    required_scopes = {
        "list": ("agents:read",),
        "retrieve": ("agents:read",),
        "create": ("admin:orgs",),
        "partial_update": ("admin:orgs",),
        "destroy": ("admin:orgs",),
    }
    repeatable = frozenset({"create"})

    def list(self, request: Request) -> Response:
        """The organization's resources, newest first."""
        return super().list(request)

    @extend_schema(responses={201: ResourceSerializer})
    def create(self, request: Request) -> Response:
        """Register a resource. No agent gets a token for it until it is allowed there."""
        serializer = ResourceSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        resource = create_resource(actor=self.actor, **serializer.validated_data)
        return Response(ResourceSerializer(resource).data, status=201)

    @extend_schema(parameters=[RESOURCE_ID])
    def retrieve(self, request: Request, resourceId: str) -> Response:
        """One resource."""
        return super().retrieve(request)

    @extend_schema(parameters=[RESOURCE_ID], request=ResourceChangeSerializer)
    def partial_update(self, request: Request, resourceId: str) -> Response:
        """Change a resource. A removed scope is taken from its agents and their live tokens."""
        resource = self.get_object()
        serializer = ResourceChangeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        resource = update_resource(resource, actor=self.actor, **serializer.validated_data)
        return Response(ResourceSerializer(resource).data)

    @extend_schema(parameters=[RESOURCE_ID], responses={204: None})
    def destroy(self, request: Request, resourceId: str) -> Response:
        """Delete a resource. No agent gets a token for it any more, and live ones become
        inactive."""
        delete_resource(self.get_object(), actor=self.actor)
        return Response(status=204)


@extend_schema(tags=["Resources"], parameters=[RESOURCE_ID])
class ResourceAgentViewSet(mixins.ListModelMixin, OrganizationScopedViewSet):
    """The agents that may get tokens for a resource, and their scopes."""

    queryset = ResourceGrant.objects.select_related("agent", "resource")
    serializer_class = ResourceGrantSerializer
    lookup_field = "agent_id"
    lookup_url_kwarg = "agentId"
    not_found = GrantNotFound
    required_scopes = {
        "list": ("agents:read",),
        "allow": ("admin:orgs",),
        "destroy": ("admin:orgs",),
    }

    def narrow_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(resource_id=self.kwargs["resourceId"])

    def list(self, request: Request, resourceId: str) -> Response:
        """The agents that are allowed at the resource, newest first."""
        self._resource()
        return super().list(request)

    @extend_schema(
        parameters=[AGENT_ID],
        request=GrantedScopesSerializer,
        responses={200: ResourceGrantSerializer},
    )
    def allow(self, request: Request, resourceId: str, agentId: str) -> Response:
        """Set the scopes that the agent is allowed at the resource, replacing earlier ones."""
        resource = self._resource()
        agents = Agent.objects.for_organization(self.organization)
        agent = agents.filter(pk=agentId).first()
        if agent is None:
            raise AgentNotFound
        serializer = GrantedScopesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        grant = allow_agent(resource, agent, actor=self.actor, **serializer.validated_data)
        return Response(ResourceGrantSerializer(grant).data)

    @extend_schema(parameters=[AGENT_ID], responses={204: None})
    def destroy(self, request: Request, resourceId: str, agentId: str) -> Response:
        """Remove the agent from the resource. Its live tokens become inactive."""
        self._resource()
        remove_agent(self.get_object(), actor=self.actor)
        return Response(status=204)

    def _resource(self) -> Resource:
        resources = Resource.objects.for_organization(self.organization)
        resource = resources.filter(pk=self.kwargs["resourceId"]).first()
        if resource is None:
            raise ResourceNotFound
        return resource
