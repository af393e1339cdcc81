"""The door of HTML views into an organization's rows."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from organizations.actors import Actor
from organizations.models import Membership, Organization, User
from organizations.requests import client_address
from organizations.scope import request_scope

P = ParamSpec("P")
SESSION_KEY = "organization_id"


class OrganizationRequest(HttpRequest):
    """A request inside an organization: `organization` and `actor` are set."""

    organization: Organization
    actor: Actor


def within_organization(
    *scopes: str,
) -> Callable[
    [Callable[Concatenate[OrganizationRequest, P], HttpResponse]],
    Callable[Concatenate[HttpRequest, P], HttpResponse],
]:
    """Run the view inside the person's chosen organization, for those who hold `scopes`."""

    def decorate(
        view: Callable[Concatenate[OrganizationRequest, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @wraps(view)
        def inside(request: Any, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            membership = chosen_membership(request)
            if membership is None:
                return redirect("organizations:choose")
            request.membership = membership
            request.organization = membership.organization
            request.actor = Actor.for_person(
                membership,
                ip_address=client_address(request),
                user_agent=request.headers.get("User-Agent", ""),
            )
            request.actor.bind_to_log()
            if not request.actor.may(*scopes):
                raise PermissionDenied
            with request_scope(membership.organization):
                response = view(request, *args, **kwargs)
                if isinstance(response, TemplateResponse) and not response.is_rendered:
                    response.render()  # the template may still read rows
            return response

        inside.required_scopes = scopes  # type: ignore[attr-defined]
        return inside

    return decorate


def chosen_membership(request: HttpRequest) -> Membership | None:
    """The membership chosen in the session, else the person's first in an active organization."""
    memberships = Membership.objects.select_related("organization", "user").filter(
        user=cast(User, request.user), organization__status=Organization.Status.ACTIVE
    )
    chosen = request.session.get(SESSION_KEY)
    found = memberships.filter(organization_id=chosen).first() if chosen else None
    return found or memberships.order_by("created_at").first()
