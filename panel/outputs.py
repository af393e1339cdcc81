"""/outputs: an execution's state and result, and its deletion."""

from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.template.loader import render_to_string
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.examples import example, example_response
from core.openapi import OperationSchema
from core.parameters import flag
from core.serializers import BoundedListField, StrictSerializer
from executions.actions import delete_execution, delete_executions
from executions.models import Execution, ExecutionNotFound
from executions.rendering import render_result
from executions.results import facts, final_or_notice, final_value, status_body
from organizations.actors import Scope
from panel import examples
from panel.base import (
    PanelViewSet,
    extended_parameter,
)

MAX_AT_ONCE = 500
PRINTABLE_POLICY = (
    "default-src 'none'; img-src data:; style-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox"
)
"""The second wall around an agent's output; the first is executions/rendering.py."""
EXTENDED = extended_parameter()


@example(examples.STATUS)
class OutputStatusSerializer(serializers.Serializer[Any]):
    """The state of an execution."""

    status = serializers.ChoiceField(choices=Execution.Status.choices)
    timestamp = serializers.FloatField(
        help_text=(
            "When the newest status, final result or description was emitted, in Unix seconds."
        )
    )
    final = serializers.CharField(
        allow_null=True,
        help_text=(
            "JSON text with a type tag. For a failed execution, the error message tagged as `Text`."
        ),
    )
    fid = serializers.CharField()
    summary = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField(), allow_null=True)
    deprecated = serializers.BooleanField(allow_null=True)
    author = serializers.CharField(allow_null=True)
    organization = serializers.CharField(
        allow_null=True, help_text="The author that the agent's description names."
    )
    version = serializers.CharField(allow_null=True)
    kodosumi_version = serializers.CharField(allow_null=True)
    app_url = serializers.CharField(
        allow_null=True, help_text="The address of the agent's service."
    )
    base_url = serializers.CharField(
        allow_null=True,
        help_text="The address of the flow, or of its service if the flow's is not known.",
    )
    entry_point = serializers.CharField(allow_null=True)
    username = serializers.CharField(
        allow_null=True, help_text="The id of the person who launched it."
    )
    locks = serializers.ListField(
        child=serializers.CharField(), help_text="The ids of the locks that wait for an answer."
    )


@example(sent=examples.DELETED_OUTPUTS)
class DeletedOutputsSerializer(StrictSerializer):
    """The executions to delete."""

    fid = BoundedListField(
        child=serializers.CharField(max_length=64), max_length=MAX_AT_ONCE, required=False
    )


class BodyOfDelete(OperationSchema):
    """Describes the body of a DELETE request, which drf-spectacular leaves out."""

    def get_response_serializers(self) -> Any:
        return {204: None}

    def _get_request_body(self, direction: str = "request") -> Any:
        if self.method != "DELETE":
            return super()._get_request_body(direction)
        component = self.resolve_serializer(DeletedOutputsSerializer, "request")
        shown = self._get_examples(DeletedOutputsSerializer(), direction, "application/json")
        content = {"schema": component.ref, "examples": shown}
        return {"content": {"application/json": content}, "required": False}


@extend_schema(tags=["Outputs"])
class OutputViewSet(PanelViewSet):
    may_queue = True
    required_scopes = {
        "status": (Scope.EXECUTIONS_READ,),
        "raw": (Scope.EXECUTIONS_READ,),
        "html": (Scope.EXECUTIONS_READ,),
        "destroy": (Scope.EXECUTIONS_WRITE,),
    }
    query_parameters = dict.fromkeys(("status", "raw", "html"), ("extended",))

    def found(self, request: Request) -> Execution:
        self.is_extended = flag(request.query_params, "extended")
        execution: Execution = self.get_object()
        return execution

    @extend_schema(
        parameters=[EXTENDED],
        responses=OutputStatusSerializer,
    )
    def status(self, request: Request, fid: str) -> Response:
        """Return an execution's status and its final result.

        With `extended=true` the request waits for an id that does not exist yet, by default for a
        minute, before it answers 404. Set the client's timeout to more than that.
        """
        return Response(status_body(self.found(request)))

    @extend_schema(
        parameters=[EXTENDED],
        responses={(200, "application/json"): example_response(OpenApiTypes.ANY, examples.RAW)},
    )
    def raw(self, request: Request, fid: str) -> Response:
        """Return the final result as a value with its type tag.

        The message of a failed execution is tagged as Text; while there is no result, a sentence
        that says so is tagged as Markdown.
        """
        return Response(final_value(self.found(request)))

    @extend_schema(
        parameters=[EXTENDED],
        responses={(200, "text/html"): example_response(OpenApiTypes.STR, examples.HTML)},
    )
    def html(self, request: Request, fid: str) -> HttpResponse:
        """Return the final result as a printable page. Nothing in it runs or is loaded from
        elsewhere.
        """
        execution = self.found(request)
        page = render_to_string(
            "executions/printable.html",
            {
                "execution": execution,
                "result": render_result(final_or_notice(execution)),
                "facts": facts(execution),
            },
        )
        return HttpResponse(page, headers={"Content-Security-Policy": PRINTABLE_POLICY})

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, fid: str) -> Response:
        """Delete an execution with its events and files.

        A live one is stopped first; of an imported one only the record here is removed.
        """
        delete_execution(self.get_object(), actor=self.actor, stop=True)
        return Response(status=204)


@extend_schema(tags=["Outputs"])
class OutputsViewSet(PanelViewSet):
    required_scopes = {"destroy_many": (Scope.EXECUTIONS_WRITE,)}
    queryset = PanelViewSet.queryset.without_content()
    schema = BodyOfDelete()

    def destroy_many(self, request: Request) -> Response:
        """Delete several executions, all or none.

        Live ones are stopped first; of imported ones only the record here is removed.
        """
        wanted = DeletedOutputsSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        fids = set(wanted.validated_data.get("fid", ()))
        with transaction.atomic():
            found = list(self.get_queryset().filter(fid__in=fids).order_by("pk"))
            missing = sorted(fids - {execution.fid for execution in found})
            if missing:
                raise ExecutionNotFound(fid=missing)
            delete_executions(found, actor=self.actor)
        return Response(status=204)
