from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import decommission_agent, register_agent, update_agent
from agents.filters import AgentFilter
from agents.models import Agent
from agents.serializers import AgentChangeSerializer, AgentSerializer
from organizations.actions.members import AgentNotFound
from organizations.api.viewsets import OrganizationScopedViewSet

AGENT_ID = OpenApiParameter("agentId", OpenApiTypes.UUID, OpenApiParameter.PATH)


@extend_schema(tags=["Agents"])
class AgentViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OrganizationScopedViewSet):
    """Registers and manages agents."""

    queryset = Agent.objects.select_related("organization")
    serializer_class = AgentSerializer
    filterset_class = AgentFilter
    lookup_url_kwarg = "agentId"
    not_found = AgentNotFound
    required_scopes = {
        "list": ("agents:read",),
        "retrieve": ("agents:read",),
        "create": ("agents:write",),
        "partial_update": ("agents:write",),
        "destroy": ("agents:write",),
    }
    repeatable = frozenset({"create"})

    def list(self, request: Request) -> Response:
        """The organization's agents, newest first."""
        return super().list(request)

    @extend_schema(responses={201: AgentSerializer})
    def create(self, request: Request) -> Response:
        """Register an agent. Its organization is the caller's."""
        serializer = AgentSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        agent = register_agent(actor=self.actor, **serializer.validated_data)
        return Response(AgentSerializer(agent).data, status=201)

    @extend_schema(parameters=[AGENT_ID])
    def retrieve(self, request: Request, agentId: str) -> Response:
        """One agent."""
        return super().retrieve(request)

    @extend_schema(parameters=[AGENT_ID], request=AgentChangeSerializer)
    def partial_update(self, request: Request, agentId: str) -> Response:
        """Change an agent; `status` suspends or reactivates it."""
        agent = self.get_object()
        serializer = AgentChangeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        agent = update_agent(agent, actor=self.actor, **serializer.validated_data)
        return Response(AgentSerializer(agent).data)

    @extend_schema(parameters=[AGENT_ID], responses={204: None})
    def destroy(self, request: Request, agentId: str) -> Response:
        """Decommission an agent. This cannot be undone."""
        decommission_agent(self.get_object(), actor=self.actor)
        return Response(status=204)
