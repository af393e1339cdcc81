"""The door of the families of paths that kodosumi's panel has: /outputs, /timeline, /files."""

from collections.abc import Iterable
from typing import Any

from rest_framework.request import Request

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

    def narrow_queryset(self, queryset: Any) -> Any:
        visible: ExecutionQuerySet = queryset.visible_to(self.actor)
        return visible


def refuse_other_parameters(request: Request, known: Iterable[str] = ()) -> None:
    """400 for a parameter that is unknown or given twice."""
    refuse_others(request.query_params, {*known, "format"})


def read_flag(request: Request, name: str) -> bool:
    """A query parameter as a boolean, false by default; 400 naming it for anything else."""
    text = request.query_params.get(name, "false").lower()
    if text not in {"true", "false", "1", "0"}:
        problem = "Must be true or false."
        raise InvalidValue(f"{name}: {problem}", **{name: [problem]})
    return text in {"true", "1"}
