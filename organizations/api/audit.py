import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import Min, QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import InvalidValue, NotFound
from core.examples import example, example_response
from core.fast_path.responses import LongResponse
from core.filters import FormedTextFilter, StrictFilterSet, parse_moment
from core.pagination import PAGING, PagePagination
from core.parameters import parse_whole_number
from core.throttling import count_attempt, refuse_when_full, throttle_key
from organizations import examples
from organizations.api.viewsets import OrganizationScopedViewSet
from organizations.audit.log import (
    MAX_VERIFIED,
    VERIFICATIONS,
    Verification,
    export_lines,
    record_export,
    verify_chain,
)
from organizations.models import AuditChain, AuditEvent
from organizations.tenancy.shares import share_of

MAX_AUDIT_SEQUENCE = 2**63 - 1
ACTION = re.compile(r"[a-z_]+(\.[a-z_]+)+")
SEQUENCES = [
    OpenApiParameter(
        name,
        {"type": "integer", "minimum": 1, "maximum": MAX_AUDIT_SEQUENCE},
        description=description,
    )
    for name, description in {
        "fromSequence": "The first event to export. The default is the first of the log.",
        "toSequence": "The last event to export. The default is the newest.",
    }.items()
]


class AuditEventNotFound(NotFound):
    code = "AUDIT_EVENT_NOT_FOUND"
    message = "There is no audit event with this id."


class MomentFilter(django_filters.CharFilter):
    """Filters by an ISO 8601 instant, UTC unless it has an offset, or by a date, which counts in
    full."""

    def __init__(self, *, end: bool, **kwargs: Any) -> None:
        self.end = end
        super().__init__(field_name="occurred_at", max_length=40, **kwargs)

    def filter(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value:
            return queryset
        moment, is_day = parse_moment(value, "toDate" if self.end else "fromDate")
        if not self.end:
            return queryset.filter(occurred_at__gte=moment)
        if is_day:
            return queryset.filter(occurred_at__lt=moment + timedelta(days=1))
        return queryset.filter(occurred_at__lte=moment)


class AuditFilter(StrictFilterSet):
    agentId = django_filters.UUIDFilter(field_name="agent_id")
    action = FormedTextFilter(method="narrow_to_action", max_length=64)
    outcome = django_filters.ChoiceFilter(choices=AuditEvent.Outcome.choices)
    fromDate = MomentFilter(end=False, help_text="A date or a time, inclusive.")
    toDate = MomentFilter(end=True, help_text="A date or a time, inclusive.")

    def narrow_to_action(self, queryset: QuerySet[Any], name: str, action: str) -> QuerySet[Any]:
        if not ACTION.fullmatch(action):
            raise InvalidValue.of("action", "Use the name of an action, for example agent.created.")
        return queryset.filter(action=action)

    class Meta:
        model = AuditEvent
        fields = ["agentId", "action", "outcome", "fromDate", "toDate"]


class AuditPagination(PagePagination):
    """Counts an unfiltered log by its sequence numbers, which have no gaps."""

    def count(self, queryset: Any, organization: Any) -> int:
        self.newest = None
        if set(self.request.query_params) - PAGING:
            return super().count(queryset, organization)
        head = AuditChain.objects.for_organization(organization).first()
        first = queryset.aggregate(first=Min("sequence"))["first"] or 1
        self.newest = head.sequence if head else 0
        return max(0, self.newest - first + 1)

    def from_page(self, queryset: Any) -> Any:
        if self.newest is None:
            return super().from_page(queryset)
        return queryset.filter(sequence__lte=self.newest - (self.page - 1) * self.limit)


class AuditActorSerializer(serializers.Serializer[AuditEvent]):
    kind = serializers.CharField(
        source="actor_kind", help_text="`person`, `agent`, `staff` or `system`."
    )
    id = serializers.UUIDField(source="actor_id", allow_null=True)
    label = serializers.CharField(source="actor_label")  # type: ignore[assignment]


class AuditTargetSerializer(serializers.Serializer[AuditEvent]):
    type = serializers.CharField(source="target_type")
    id = serializers.CharField(source="target_id")
    label = serializers.CharField(source="target_label")  # type: ignore[assignment]


@example(examples.AUDIT_EVENT)
class AuditEventSerializer(serializers.Serializer[AuditEvent]):
    """An event, with its place in the chain."""

    eventId = serializers.UUIDField(source="id")
    organizationId = serializers.SerializerMethodField()
    sequence = serializers.IntegerField()
    timestamp = serializers.DateTimeField(source="occurred_at")
    action = serializers.CharField()
    outcome = serializers.ChoiceField(choices=AuditEvent.Outcome.choices)
    agentId = serializers.UUIDField(source="agent_id", allow_null=True)
    actor = AuditActorSerializer(source="*")
    target = AuditTargetSerializer(source="*")
    ipAddress = serializers.CharField(source="ip_address", allow_null=True)
    userAgent = serializers.CharField(source="user_agent")
    requestId = serializers.CharField(source="request_id")
    metadata = serializers.DictField()
    previousHash = serializers.SerializerMethodField()
    hash = serializers.SerializerMethodField()

    def get_organizationId(self, event: AuditEvent) -> str:
        return f"org-{event.organization_id}"

    def get_previousHash(self, event: AuditEvent) -> str:
        return bytes(event.previous_hash).hex()

    def get_hash(self, event: AuditEvent) -> str:
        return bytes(event.hash).hex()


@example(examples.VERIFICATION)
class VerificationSerializer(serializers.Serializer[Verification]):
    verified = serializers.BooleanField(source="is_intact")
    fromSequence = serializers.IntegerField(source="first")
    toSequence = serializers.IntegerField(source="last")
    checked = serializers.IntegerField(help_text="The number of events that were recomputed.")
    brokenAt = serializers.IntegerField(
        source="broken_at",
        allow_null=True,
        help_text="The first event that does not match the chain.",
    )
    reason = serializers.CharField()
    headSequence = serializers.IntegerField(source="head_sequence")
    headHash = serializers.CharField(
        source="head_hash",
        help_text=(
            "Store it elsewhere: with it you can later prove that the end of the log was "
            "not cut off."
        ),
    )
    checkedAt = serializers.DateTimeField(source="checked_at")


@extend_schema(tags=["Audit"])
class AuditViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OrganizationScopedViewSet):
    """The organization's audit log."""

    queryset = AuditEvent.objects.all()
    serializer_class = AuditEventSerializer
    filterset_class = AuditFilter
    pagination_class = AuditPagination
    lookup_url_kwarg = "eventId"
    not_found = AuditEventNotFound
    required_scopes = {
        "list": ("audit:read",),
        "retrieve": ("audit:read",),
        "verify": ("audit:read",),
        "export": ("audit:read",),
    }
    query_parameters = dict.fromkeys(("verify", "export"), ("fromSequence", "toSequence"))

    def list(self, request: Request) -> Response:
        """Events, newest first."""
        return super().list(request)

    @extend_schema(parameters=[OpenApiParameter("eventId", OpenApiTypes.UUID, "path")])
    def retrieve(self, request: Request, eventId: UUID) -> Response:
        """One event."""
        return super().retrieve(request)

    @extend_schema(parameters=SEQUENCES, responses=VerificationSerializer)
    def verify(self, request: Request) -> Response:
        """Recompute the hash chain, or a part of it: at most 100,000 events, by default the newest.

        Limited to 30 requests a minute for each organization.
        """
        key = throttle_key("audit.verify", share_of(self.organization.pk))
        refuse_when_full(key, VERIFICATIONS)
        first, last = self._range(request, maximum=MAX_VERIFIED)
        verification = verify_chain(self.organization, first=first, last=last)
        # Last, so that the counter's lock is not held during verification.
        count_attempt(key, VERIFICATIONS)
        return Response(VerificationSerializer(verification).data)

    @extend_schema(
        parameters=SEQUENCES,
        responses={
            (200, "application/jsonl"): example_response(
                OpenApiTypes.STR, f"{examples.EXPORTED_LINE}\n"
            )
        },
    )
    def export(self, request: Request) -> HttpResponseBase:
        """The log as JSON lines, oldest first. How to verify it: docs/reference/audit.md."""
        record_export(self.actor)
        first, last = self._range(request, maximum=None)
        name = f"audit-{self.organization.slug}-{first}-{last}.jsonl"
        return LongResponse(
            export_lines(self.organization, first, last),
            caller=self.actor.id,
            content_type="application/jsonl; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def _range(self, request: Request, *, maximum: int | None) -> tuple[int, int]:
        given = {
            name: _sequence(request, name)
            for name in ("fromSequence", "toSequence")
            if name in request.query_params
        }
        head = AuditChain.objects.for_organization(self.organization).first()
        newest = head.sequence if head else 0
        last = min(given.get("toSequence", newest), newest)
        default = max(1, last - maximum + 1) if maximum else 1
        first = min(given.get("fromSequence", default), newest + 1)
        if "toSequence" in given and given["toSequence"] < given.get("fromSequence", 1):
            raise InvalidValue.of("toSequence", "Must not be smaller than fromSequence.")
        if maximum and last - first >= maximum:
            raise InvalidValue.of("toSequence", f"A range has at most {maximum} events.")
        return first, last


def _sequence(request: Request, name: str) -> int:
    return parse_whole_number(
        request.query_params[name],
        name,
        minimum=1,
        maximum=MAX_AUDIT_SEQUENCE,
        problem="Must be a whole number from 1.",
    )
