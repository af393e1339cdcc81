"""/api/v1/organizations/{organizationId}/storage: how much is stored, and how much may be."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.examples import example
from executions.api import examples
from executions.models import Execution
from executions.quotas import limits_of, stored
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
    """What the organization stores of each kind."""

    executions = AmountSerializer()
    eventBytes = AmountSerializer(
        source="event_bytes", help_text="Of all events, each with 128 bytes beside its message."
    )
    fileBytes = AmountSerializer(
        source="file_bytes",
        help_text="Of all files, announced ones too, each with 1,024 bytes beside its content.",
    )


class StorageViewSet(OwnOrganizationViewSet):
    """What executions take, of what they may."""

    queryset = Execution.objects.none()
    serializer_class = StorageSerializer
    required_scopes = {"retrieve": ADMINISTRATION}

    @extend_schema(tags=["Organizations"], parameters=[ORGANIZATION_ID])
    def retrieve(self, request: Request, organizationId: str) -> Response:
        """How much the organization stores, and how much it may: what is over is refused."""
        limits = asdict(limits_of(self.organization))
        held = asdict(stored(self.organization))
        amounts = {name: {"used": held[name], "limit": limits[name]} for name in limits}
        return Response(StorageSerializer(amounts).data)
