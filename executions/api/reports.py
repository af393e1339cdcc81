"""/api/v1/executions, where external engines report their runs, each as its own agent."""

import re
from typing import Any, cast

from django.db.models import QuerySet
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiTypes,
    extend_schema,
)
from rest_framework import mixins, serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import InvalidValue
from core.parameters import parse_whole_number
from core.parsers import StrictJSONParser
from executions import actions, leases, uploads
from executions.api import examples
from executions.api.event_batches import (
    AppendedSerializer,
    BatchSerializer,
    EventSerializer,
    NewlineJSONParser,
)
from executions.api.filters import ExecutionFilter
from executions.api.serializers import (
    ChangeSerializer,
    ExecutionSerializer,
    ExecutionSummarySerializer,
    FinishSerializer,
    HeartbeatSerializer,
    LeaseSerializer,
    NewExecutionSerializer,
)
from executions.api.upload_serializers import NewUploadSerializer, RawParser, UploadSerializer
from executions.json_text import with_form
from executions.models import MAX_SEQUENCE, Execution, ExecutionNotFound
from organizations.api.viewsets import OrganizationScopedViewSet

EXECUTION_ID = OpenApiParameter("executionId", OpenApiTypes.STR, OpenApiParameter.PATH)
UPLOAD_ID = OpenApiParameter("uploadId", OpenApiTypes.UUID, OpenApiParameter.PATH)
LEASE = OpenApiParameter(
    leases.HEADER,
    {"type": "integer", "minimum": 0, "maximum": MAX_SEQUENCE},
    OpenApiParameter.HEADER,
    description=(
        "The `leaseGeneration` that the caller holds. Required while a live execution "
        "has a lease; 0 states that it has none."
    ),
)
CONTENT_RANGE = OpenApiParameter(
    "Content-Range",
    {"type": "string", "pattern": r"^bytes [0-9]{1,18}-[0-9]{1,18}/[0-9]{1,18}$"},
    OpenApiParameter.HEADER,
    description="`bytes FIRST-LAST/SIZE`. Without it, the body is the whole file.",
)
RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
READ, WRITE = ("executions:read",), ("executions:write",)
DESCRIPTION = ("summary", "description", "tags")


@extend_schema(tags=["Executions"])
class ExecutionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OrganizationScopedViewSet):
    """Agents report their own runs; operators can stop and delete every run."""

    queryset = Execution.objects.select_related("user")
    serializer_class = ExecutionSerializer
    lookup_field = "fid"
    lookup_url_kwarg = "executionId"
    not_found = ExecutionNotFound
    required_scopes = {
        "list": READ,
        "retrieve": READ,
        "create": WRITE,
        "partial_update": WRITE,
        "destroy": WRITE,
        "append": WRITE,
        "finish": WRITE,
        "stop": WRITE,
        "heartbeat": WRITE,
        "start_upload": WRITE,
        "upload": READ,
        "receive_part": WRITE,
        "cancel_upload": WRITE,
    }
    repeatable = frozenset({"create", "append", "heartbeat"})
    kept_fields = {"create": ("executionId",)}

    def narrow_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        visible = queryset.visible_to(self.actor)  # type: ignore[attr-defined]
        return visible if self.action in {"create", "retrieve"} else visible.without_content()

    @property
    def filterset_class(self) -> type[ExecutionFilter] | None:
        return ExecutionFilter if self.action == "list" else None

    def get_parsers(self) -> list[BaseParser]:
        if self.action_map and "receive_part" in self.action_map.values():
            return [RawParser()]
        if self.action_map and "append" in self.action_map.values():
            return [StrictJSONParser(), NewlineJSONParser()]
        return super().get_parsers()

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return ExecutionSummarySerializer if self.action == "list" else ExecutionSerializer

    def list(self, request: Request) -> Response:
        """List executions, most recently started first.

        An agent sees its own executions, an operator all of the organization's, other people their
        own.
        """
        return super().list(request)

    @extend_schema(
        request=NewExecutionSerializer,
        responses={200: ExecutionSerializer, 201: ExecutionSerializer},
    )
    def create(self, request: Request) -> Response:
        """Report a run. It belongs to the calling agent and its credential.

        Repeating the request with the same `executionId` answers 200 with the existing execution,
        whatever has happened to it since; different content answers 409 and names the fields that
        differ.
        """
        fields = _valid(NewExecutionSerializer, request)
        started_at = fields.get("startedAt")
        execution, is_new = actions.report_execution(
            actor=self.actor,
            fid=fields.get("executionId", ""),
            status=fields.get("status", Execution.Status.RUNNING),
            description={name: fields[name] for name in DESCRIPTION if name in fields},
            inputs=fields.get("inputs"),
            started_at=started_at.timestamp() if started_at else None,
            user_id=fields.get("userId"),
            lease_seconds=fields.get("leaseSeconds"),
        )
        return Response(ExecutionSerializer(execution).data, status=201 if is_new else 200)

    def read_anew(self, kept: dict[str, Any]) -> Any:
        """The stored execution in its current state; raises ExecutionWasDeleted when it is gone."""
        execution = self.get_queryset().filter(fid=kept["executionId"]).first()
        if execution is None:
            raise actions.ExecutionWasDeleted
        return ExecutionSerializer(execution).data

    @extend_schema(parameters=[EXECUTION_ID])
    def retrieve(self, request: Request, executionId: str) -> Response:
        """Retrieve one execution."""
        return super().retrieve(request)

    @extend_schema(parameters=[EXECUTION_ID, LEASE], request=ChangeSerializer)
    def partial_update(self, request: Request, executionId: str) -> Response:
        """Update figures that become known late: tokens, cost, summary.

        Allowed after the end as well, unless the execution was cancelled.
        """
        execution = self._own()
        changes = _valid(ChangeSerializer, request)
        execution = actions.update_figures(
            execution, actor=self.actor, lease=_lease(request), **changes
        )
        return Response(ExecutionSerializer(execution).data)

    @extend_schema(parameters=[EXECUTION_ID], responses={204: None})
    def destroy(self, request: Request, executionId: str) -> Response:
        """Delete an execution that has ended, or the record of an imported one, with its events
        and files. To end a live execution, stop it first.
        """
        actions.delete_execution(self.get_object(), actor=self.actor)
        return Response(status=204)

    @extend_schema(
        parameters=[EXECUTION_ID, LEASE],
        request={
            "application/json": BatchSerializer,
            "application/x-ndjson": EventSerializer,
        },
        responses=AppendedSerializer,
    )
    def append(self, request: Request, executionId: str) -> Response:
        """Append up to 1,000 events, all or none, as `{"events": […]}` or as one JSON object a
        line.

        Events that carry their `sequence` may be sent again: those already stored count as
        duplicates. A gap is refused with the sequence number that is expected next.
        """
        execution = self._own()
        events = _valid(BatchSerializer, request)["events"]
        appended = actions.append(execution, events, actor=self.actor, lease=_lease(request))
        return Response(AppendedSerializer(appended).data)

    @extend_schema(
        parameters=[EXECUTION_ID, LEASE], request=FinishSerializer, responses=ExecutionSerializer
    )
    def finish(self, request: Request, executionId: str) -> Response:
        """End the execution with its result or its error.

        Repeating the same end changes nothing; an end with different content is refused, and the
        error names the fields that differ.
        """
        execution = self._own()
        fields = _valid(FinishSerializer, request)
        final = fields.get("final")
        execution = actions.finish(
            execution,
            actor=self.actor,
            status=fields["status"],
            final=None if final is None else with_form(final),
            error=fields.get("error", ""),
            lease=_lease(request),
        )
        return Response(ExecutionSerializer(execution).data)

    @extend_schema(parameters=[EXECUTION_ID], request=None, responses=ExecutionSerializer)
    def stop(self, request: Request, executionId: str) -> Response:
        """Cancel a live execution. Further reports for it are refused; its record stays.

        An imported execution runs elsewhere and cannot be stopped from here.
        """
        execution = actions.stop_execution(self.get_object(), actor=self.actor)
        return Response(ExecutionSerializer(execution).data)

    @extend_schema(
        parameters=[EXECUTION_ID, LEASE], request=HeartbeatSerializer, responses=LeaseSerializer
    )
    def heartbeat(self, request: Request, executionId: str) -> Response:
        """Signal that the run is alive, or take its lease when nobody holds it or with
        `takeOver`.
        """
        execution = self._own()
        fields = _valid(HeartbeatSerializer, request)
        execution = actions.heartbeat(
            execution,
            actor=self.actor,
            lease=_lease(request),
            seconds=fields.get("leaseSeconds"),
            take_over=fields.get("takeOver", False),
        )
        return Response(LeaseSerializer(execution).data)

    @extend_schema(
        parameters=[EXECUTION_ID, LEASE],
        request=NewUploadSerializer,
        responses={200: UploadSerializer, 201: UploadSerializer},
    )
    def start_upload(self, request: Request, executionId: str) -> Response:
        """Announce a file; then send its bytes in parts of at most 1 MiB.

        Repeating the request answers 200 with the same upload. No files are accepted after the end.
        """
        execution = self._own()
        fields = _valid(NewUploadSerializer, request)
        upload, is_new = uploads.start_upload(
            execution, actor=self.actor, lease=_lease(request), **fields
        )
        return Response(UploadSerializer(upload).data, status=201 if is_new else 200)

    @extend_schema(parameters=[EXECUTION_ID, UPLOAD_ID], responses=UploadSerializer)
    def upload(self, request: Request, executionId: str, uploadId: str) -> Response:
        """Show which parts of an upload have arrived and which are missing."""
        return Response(UploadSerializer(uploads.arrived(self.get_object(), uploadId)).data)

    @extend_schema(
        parameters=[EXECUTION_ID, UPLOAD_ID, LEASE, CONTENT_RANGE],
        request={
            "application/octet-stream": OpenApiRequest(
                OpenApiTypes.BINARY, examples=[OpenApiExample("Example", examples.CONTENT)]
            )
        },
        responses=UploadSerializer,
    )
    def receive_part(self, request: Request, executionId: str, uploadId: str) -> Response:
        """Send part of a file. Parts may arrive in any order and may be repeated after a
        failure; the last missing one completes the file.
        """
        execution = self.get_object()
        content = cast(bytes, request.data) if isinstance(request.data, bytes) else b""
        offset, total = _range(request, len(content))
        upload = uploads.receive_part(
            execution,
            uploadId,
            actor=self.actor,
            offset=offset,
            total=total,
            content=content,
            lease=_lease(request),
        )
        return Response(UploadSerializer(upload).data)

    @extend_schema(parameters=[EXECUTION_ID, UPLOAD_ID, LEASE], responses={204: None})
    def cancel_upload(self, request: Request, executionId: str, uploadId: str) -> Response:
        """Cancel an incomplete upload, so that the file can be announced again."""
        uploads.cancel_upload(self.get_object(), uploadId, actor=self.actor, lease=_lease(request))
        return Response(status=204)

    def _own(self) -> Execution:
        """The execution that the URL names; Forbidden unless the caller is its agent."""
        execution: Execution = self.get_object()
        actions.require_reporter(execution, self.actor)
        return execution


def _valid(serializer_class: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    fields: dict[str, Any] = serializer.validated_data
    return fields


def _lease(request: Request) -> int | None:
    text = request.headers.get(leases.HEADER)
    if text is None:
        return None
    problem = f"Use a whole number from 0 to {MAX_SEQUENCE}."
    return parse_whole_number(text, leases.HEADER, maximum=MAX_SEQUENCE, problem=problem)


def _range(request: Request, length: int) -> tuple[int, int]:
    """The offset of the sent bytes and the size of the whole file, from Content-Range."""
    text = request.headers.get("Content-Range")
    if text is None:
        first, last, size = 0, length - 1, length
    elif found := RANGE.fullmatch(text):
        first, last, size = map(int, found.groups())
    else:
        raise InvalidValue.of("Content-Range", "Use the form bytes 0-1023/4096.")
    if length == 0:
        raise InvalidValue.of("Content-Range", "Send at least one byte.")
    if last - first + 1 != length or last >= size:
        problem = f"The body has {length} bytes, which does not match the range."
        raise InvalidValue.of("Content-Range", problem)
    return first, size
