"""/api/v1/organizations/{organizationId}/storage: the organization's storage use and limits."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.examples import example
from executions.api import examples
from executions.models import Execution
from executions.quotas import kept, limits_of, stored
from organizations.api.organizations import (
    ADMINISTRATION,
    ORGANIZATION_ID,
    OwnOrganizationViewSet,
)


class AmountSerializer(serializers.Serializer[Any]):
    used = serializers.IntegerField(min_value=0)
    limit = serializers.IntegerField(min_value=0)


@example(examples.STORAGE)
class StorageSerializer(serializers.Serializer[Any]):
    """The organization's storage use and limits by kind, and what cannot be deleted."""

    executions = AmountSerializer()
    eventBytes = AmountSerializer(
        source="event_bytes",
        help_text="Size of all events. Each counts as its message plus 128 bytes.",
    )
    fileBytes = AmountSerializer(
        source="file_bytes",
        help_text=(
            "Size of all files, announced ones included. Each counts as its content plus "
            "1,024 bytes."
        ),
    )
    auditEvents = serializers.IntegerField(
        source="audit_events",
        min_value=0,
        help_text="Events of the audit log. They cannot be deleted.",
    )
    auditBytes = serializers.IntegerField(
        source="audit_bytes",
        min_value=0,
        help_text="Size of these events. Each counts as its texts plus 512 bytes.",
    )
    deletedExecutions = serializers.IntegerField(
        source="deleted_executions",
        min_value=0,
        help_text="Deleted executions, whose ids are not used again.",
    )


class StorageViewSet(OwnOrganizationViewSet):
    """The storage that an organization's executions use, and its limits."""

    queryset = Execution.objects.none()
    serializer_class = StorageSerializer
    required_scopes = {"retrieve": ADMINISTRATION}

    @extend_schema(tags=["Organizations"], parameters=[ORGANIZATION_ID])
    def retrieve(self, request: Request, organizationId: str) -> Response:
        """Show the organization's storage use and limits. Requests that would exceed a limit are
        refused.
        """
        limits = asdict(limits_of(self.organization))
        held = asdict(stored(self.organization))
        amounts = {name: {"used": held[name], "limit": limits[name]} for name in limits}
        return Response(StorageSerializer(amounts | kept(self.organization)).data)
