"""PUT and DELETE /api/dashboard/error-groups/{fingerprint}/resolution."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.examples import example
from core.fields import NameField
from core.serializers import StrictSerializer
from executions.actions import reopen_error_group, resolve_error_group
from executions.models import MAX_NOTE, ErrorGroupNotFound, ErrorState
from executions.queries import state_of
from organizations.actors import Scope
from panel import examples
from panel.base import PanelViewSet
from panel.dashboard_bodies import state_body

MAX_FINGERPRINT = 40
GROUP = OpenApiParameter(
    "fingerprint",
    {"type": "string", "maxLength": MAX_FINGERPRINT},
    OpenApiParameter.PATH,
    description="The fingerprint of the error group.",
)


class StateSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(
        ErrorState.choices,
        help_text=(
            "`new` for 24 hours after the first error of the group was received, then `ongoing`; "
            "`resolved` once somebody said so, and `regressed` if an error was received since. "
            "Independent of the window and the filters."
        ),
    )
    resolved_at = serializers.FloatField(
        allow_null=True, help_text="Unix seconds. null for a group that nobody resolved."
    )
    resolved_by = serializers.CharField(
        allow_null=True, help_text="Only operators see who resolved it."
    )
    note = serializers.CharField(
        allow_null=True, allow_blank=True, help_text="Only operators see the note."
    )


@example(examples.RESOLVED_GROUP)
class ResolvedGroupSerializer(StateSerializer):
    fingerprint = serializers.CharField()


@example(sent=examples.RESOLUTION)
class ResolutionSerializer(StrictSerializer):
    """Why the group is resolved."""

    note = NameField(
        required=False,
        allow_blank=True,
        default="",
        max_length=MAX_NOTE,
        help_text="For other operators, for example what was changed.",
    )


@extend_schema(tags=["Dashboard"])
class ErrorGroupViewSet(PanelViewSet):
    """For operators and administrators: a group has errors of everyone's runs."""

    required_scopes = {
        "resolve": (Scope.EXECUTIONS_WRITE,),
        "reopen": (Scope.EXECUTIONS_WRITE,),
    }
    not_found = ErrorGroupNotFound

    @extend_schema(
        parameters=[GROUP],
        request=ResolutionSerializer,
        responses=ResolvedGroupSerializer,
    )
    def resolve(self, request: Request, fingerprint: str) -> Response:
        """Resolve an error group, for everyone in the organization.

        When an error of the group is received later, it becomes `regressed`. Repeating the request
        changes nothing; another note replaces the one before.
        """
        serializer = ResolutionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        note = serializer.validated_data["note"]
        resolve_error_group(known_form(fingerprint), actor=self.actor, note=note)
        found = state_of(self.organization, self.actor, fingerprint)
        if found is None:  # its errors were deleted meanwhile
            raise ErrorGroupNotFound
        return Response({"fingerprint": fingerprint, **state_body(found)})

    @extend_schema(parameters=[GROUP], request=None, responses={204: None})
    def reopen(self, request: Request, fingerprint: str) -> Response:
        """Take the resolution of an error group back: it is `new` or `ongoing` again."""
        reopen_error_group(known_form(fingerprint), actor=self.actor)
        return Response(status=204)


def known_form(fingerprint: str) -> str:
    """The fingerprint; raise ErrorGroupNotFound for text that is none."""
    if len(fingerprint) > MAX_FINGERPRINT or not fingerprint.isprintable():
        raise ErrorGroupNotFound
    return fingerprint
