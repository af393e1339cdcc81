"""The base viewset of the REST API, which limits a request to its organization's rows."""

from collections.abc import Collection
from contextlib import ExitStack
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from core.errors import NotFound
from core.fast_path.arrival import seconds_waited
from core.fast_path.responses import LongResponse
from core.pagination import PAGING
from core.parameters import refuse_others, require_choice
from organizations.actors import Actor
from organizations.api.repeatable import RepeatableActions
from organizations.models import Organization
from organizations.stream_access import Viewer, has_ended
from organizations.tenancy.scope import request_scope
from organizations.tenancy.shares import share_of
from organizations.tenancy.thread_slots import slots

SEALED = {
    "get_queryset": "narrow_queryset",
    "dispatch": "an action",
    "perform_authentication": "an authenticator",
}
ModelType = TypeVar("ModelType", bound=Model)


class BearerCredentials(Protocol):
    """The type of `request.auth`. Its signature has been checked, but not that it is still
    valid."""

    organization_id: Any

    def live_actor(self, request: HttpRequest) -> Actor:
        """The actor, if its agent, credential, session and organization are still valid."""


class OrganizationScopedViewSet(RepeatableActions):
    """Runs the whole view inside the caller's organization, in the database as well.

    Subclasses set `required_scopes` per action, and may narrow `get_queryset` by narrow_queryset()
    but not override it. The organization comes only from the verified token. A query parameter that
    is neither in `query_parameters` nor a filter or paging parameter of the action is refused, and
    so is one that is repeated, except `repeatable_parameters`.
    """

    required_scopes: dict[str, tuple[str, ...]] = {}
    query_parameters: dict[str, Collection[str]] = {}
    repeatable_parameters: frozenset[str] = frozenset()
    may_queue: bool = False
    """Whether requests that have waited for a thread are served however many they are. For streams,
    whose viewers all come back at once after a restart, and browsers give up after a refusal."""
    not_found: type[NotFound] = NotFound
    organization: Organization

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method, instead in SEALED.items():
            if getattr(cls, method) is not getattr(OrganizationScopedViewSet, method):
                raise ImproperlyConfigured(
                    f"{cls.__name__} must not override {method}(); use {instead}()."
                )

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self._scope:  # closed even if an exception handler swallows the error
            response = super().dispatch(request, *args, **kwargs)
            if hasattr(response, "render") and not getattr(response, "is_rendered", True):
                response.render()  # serializers may still query rows
        if isinstance(response, LongResponse):
            scopes = self.required_scopes.get(self.action or "", ())
            viewer = Viewer.of_request(self.actor, self.request.auth, scopes)
            response.end_with(partial(has_ended, viewer))
            share = share_of(self.organization.pk)
            response.count_for(share, partial(slots.hold, share))
        return response

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        credentials = cast(BearerCredentials | None, request.auth)
        if credentials is None:
            return
        waited = 0.0 if self.may_queue else seconds_waited(request.META)
        self._scope.enter_context(slots.hold(share_of(credentials.organization_id), waited))
        self._scope.enter_context(request_scope(credentials.organization_id))
        self.actor = credentials.live_actor(request._request)
        self.organization = self.actor.organization
        self.actor.bind_to_log()
        request.user = self.actor  # type: ignore[assignment]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "OPTIONS" and self.action is not None:
            known = self.known_parameters()
            refuse_others(request.query_params, known, self.repeatable_parameters)
            self._refuse_other_forms(request)
        self.claim_repetition(request)

    def _refuse_other_forms(self, request: Request) -> None:
        """Raise InvalidValue for an unsupported `format`, instead of silently returning JSON."""
        wanted = request.query_params.get("format")
        forms = [renderer.format for renderer in self.get_renderers()]
        if wanted is not None:
            require_choice(wanted, "format", sorted(forms))

    def known_parameters(self) -> set[str]:
        """The query parameters that the action accepts."""
        names = set(self.query_parameters.get(self.action, ()))
        if self.action == "list":
            filters = getattr(self, "filterset_class", None)
            names |= PAGING | set(filters.base_filters if filters else ())
        return names

    def get_queryset(self) -> QuerySet[Any]:
        queryset = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return queryset.none()
        return self.narrow_queryset(queryset.for_organization(self.organization))  # type: ignore[attr-defined]

    def get_object(self) -> Any:
        """The row named in the URL. Another organization's row is not found, like one that does not
        exist."""
        try:
            return super().get_object()
        except Http404 as error:
            raise self.not_found from error

    def narrow_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Override this to restrict the organization's rows further."""
        return queryset
