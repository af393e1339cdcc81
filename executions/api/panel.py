"""The door of the families of paths that kodosumi's panel has: /outputs, /timeline, /files."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from agentidp.errors import InvalidValue
from executions.filters import refuse_others
from executions.models import Execution, ExecutionNotFound, ExecutionQuerySet
from organizations.api import OrganizationScopedViewSet
from organizations.api.sessions import PageSessionAuthentication
from tokens.authentication import BearerAuthentication, KeyHeaderAuthentication


class PanelViewSet(OrganizationScopedViewSet):
    """For people and agents with a token, in either header, and for a browser with a session.

    An execution is looked up among those that the caller may see; any other is unknown.
    """

    authentication_classes = [
        BearerAuthentication,
        KeyHeaderAuthentication,
        PageSessionAuthentication,
    ]
    queryset = Execution.objects.select_related("user")
    lookup_field = lookup_url_kwarg = "fid"
    not_found = ExecutionNotFound

    is_extended = False
    """Whether the caller wants to wait for an execution that is not there yet."""

    def handle_exception(self, exc: Exception) -> Response:
        """Under our ASGI server a 404 with patience is asked for again until it is over, without
        a thread or a transaction in the meantime (agentidp/bridge.py)."""
        response = super().handle_exception(exc)
        if isinstance(exc, ExecutionNotFound) and self.is_extended:
            response.patience = settings.WAIT_FOR_JOB_SECONDS  # type: ignore[attr-defined]
        return response

    def narrow_queryset(self, queryset: Any) -> Any:
        visible: ExecutionQuerySet = queryset.visible_to(self.actor)
        return visible


def refuse_other_parameters(request: Request, known: Iterable[str] = ()) -> None:
    """400 for a parameter that is unknown or given twice."""
    refuse_others(request.query_params, {*known, "format"})


def extended_parameter(default: bool = False) -> OpenApiParameter:
    """`extended`, for the OpenAPI document."""
    return OpenApiParameter(
        "extended",
        {"type": "boolean", "default": default},
        description="Wait for an execution that is not there yet, instead of answering 404 at "
        "once.",
    )


def read_flag(request: Request, name: str, default: bool = False) -> bool:
    """A query parameter as a boolean; 400 naming it for anything else."""
    text = request.query_params.get(name, str(default)).lower()
    if text not in {"true", "false", "1", "0"}:
        problem = "Must be true or false."
        raise InvalidValue(f"{name}: {problem}", **{name: [problem]})
    return text in {"true", "1"}
