"""Access of HTML views to an organization's rows."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from core.addresses import client_address
from core.errors import Forbidden
from core.fast_path.arrival import seconds_waited
from core.fast_path.responses import LongResponse
from core.time_zones import known_time_zones
from organizations.actors import Actor
from organizations.models import Membership, Organization
from organizations.page_sessions import chosen_membership
from organizations.stream_access import Viewer, has_ended
from organizations.tenancy.scope import request_scope
from organizations.tenancy.shares import share_of
from organizations.tenancy.thread_slots import slots
from pages.sent_forms import carry_out_once

P = ParamSpec("P")
ZONE_COOKIE = "zone"
"""Set by js/zone.js: the browser's zone, absent if the person wants the organization's."""


class OrganizationRequest(HttpRequest):
    """A request inside an organization, with `organization` and `actor` set.

    `zone` is the time zone of the page (zone_of).
    """

    organization: Organization
    actor: Actor
    membership: Membership
    zone: ZoneInfo
    views: Any
    """The saved views of a list (pages/saved_views/menu.py), on its pages."""


def within_organization(
    *scopes: str,
) -> Callable[
    [Callable[Concatenate[OrganizationRequest, P], HttpResponseBase]],
    Callable[Concatenate[HttpRequest, P], HttpResponseBase],
]:
    """Run the view inside the person's current organization; requires `scopes`."""

    def decorate(
        view: Callable[Concatenate[OrganizationRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def inside(request: Any, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
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
            request.zone = zone_of(request)
            share = share_of(membership.organization_id)
            with (
                slots.hold(share, seconds_waited(request.META)),
                request_scope(membership.organization),
                timezone.override(request.zone),
            ):
                try:
                    response = carry_out_once(request, lambda: view(request, *args, **kwargs))
                except Forbidden as error:  # for example if a right ended during the request
                    raise PermissionDenied from error
                if isinstance(response, TemplateResponse) and not response.is_rendered:
                    response.render()  # the template may still read rows
            if isinstance(response, LongResponse):
                viewer = Viewer.of_request(request.actor, request.session, scopes)
                response.end_with(partial(has_ended, viewer))
                response.count_for(share, partial(slots.hold, share))
            return response

        inside.required_scopes = scopes  # type: ignore[attr-defined]
        return inside

    return decorate


def zone_of(request: OrganizationRequest) -> ZoneInfo:
    """The zone in the URL, otherwise the browser's or the organization's, as the person has chosen
    (js/zone.js); UTC if none is valid.
    """
    chosen = (request.GET.get("tz", ""), *zones_without_url(request))
    return ZoneInfo(next((name for name in chosen if name in known_time_zones()), "UTC"))


def zones_without_url(request: OrganizationRequest) -> tuple[str, str]:
    return request.COOKIES.get(ZONE_COOKIE, ""), request.organization.time_zone
