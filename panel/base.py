"""The base of the views at kodosumi's panel addresses: /outputs, /timeline, /files and
/api/dashboard.
"""

from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter
from rest_framework.response import Response

from core.errors import DomainError, NotFound
from core.fast_path.responses import WAITED, Wait
from executions.models import Execution, ExecutionNotFound, ExecutionQuerySet, sees_all
from live.hub import hub
from live.reading import Awaited
from organizations.actors import Actor
from organizations.api.sessions import PageSessionAuthentication
from organizations.api.viewsets import OrganizationScopedViewSet
from organizations.stream_access import Viewer
from tokens.authentication import (
    BearerAuthentication,
    KeyCookieAuthentication,
    KeyHeaderAuthentication,
)

MAX_FID_LENGTH: int = Execution._meta.get_field("fid").max_length or 0


class PanelViewSet(OrganizationScopedViewSet):
    """Open to people and agents with a token in a header or kodosumi's cookie, and to browsers with
    a session.

    Executions that the caller may not see answer 404.
    """

    authentication_classes = [
        BearerAuthentication,
        KeyHeaderAuthentication,
        PageSessionAuthentication,
        KeyCookieAuthentication,
    ]
    queryset = Execution.objects.select_related("user")
    lookup_field = lookup_url_kwarg = "fid"
    not_found: type[NotFound] = ExecutionNotFound

    is_extended = False
    """Whether the caller wants to wait for an execution that is not there yet."""

    def handle_exception(self, exc: Exception) -> Response:
        """Let a 404 for an awaited execution be retried once the execution exists.

        The ASGI bridge does so without holding a thread or a transaction
        (core/fast_path/asgi_bridge.py).
        """
        wait = None
        if isinstance(exc, ExecutionNotFound) and self.is_extended:
            try:
                wait = self.wait_for_execution()
            except DomainError as error:
                exc = error
        response = super().handle_exception(exc)
        if wait:
            response.wait = wait  # type: ignore[attr-defined]
        return response

    def wait_for_execution(self) -> Wait | None:
        """How to wait until the caller can see the execution that the URL names.

        None when the request has waited already. A waiting request counts as a stream.
        """
        fid = self.kwargs[self.lookup_url_kwarg]
        if len(fid) > MAX_FID_LENGTH:
            return None
        viewer = Viewer.of_request(self.actor, self.request.auth)
        hub.require_place(viewer)
        if self.request.META.get(WAITED):
            return None
        awaited = Awaited(self.organization.pk, fid, *owner_seen_by(self.actor))
        seconds = settings.WAIT_FOR_JOB_SECONDS
        return partial(hub.wait_for, awaited, viewer=viewer, seconds=seconds)

    def narrow_queryset(self, queryset: Any) -> Any:
        visible: ExecutionQuerySet = queryset.visible_to(self.actor)
        return visible


def owner_seen_by(actor: Actor) -> tuple[UUID | None, UUID | None]:
    """The agent or person whose executions alone the actor sees, as in `visible_to`."""
    if sees_all(actor):
        return None, None
    return (actor.id, None) if actor.kind == "agent" else (None, actor.id)


def extended_parameter(default: bool = False) -> OpenApiParameter:
    """The parameter `extended` for the OpenAPI document."""
    return OpenApiParameter(
        "extended",
        {"type": "boolean", "default": default},
        description=(
            "Wait for an execution that does not exist yet instead of answering 404 at "
            "once. The response may take up to a minute."
        ),
    )
