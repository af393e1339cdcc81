"""Django's admin for platform staff, limited to the organization chosen in the header.

Every view runs inside that organization's scope, so row-level security applies to staff as well,
and each choice is recorded in that organization's audit log.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import update_wrapper
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from core.addresses import client_address
from core.errors import Forbidden
from core.throttling import ADMIN_CHOICES, has_room, throttle_key
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Organization, User
from organizations.tenancy.scope import organization_scope, request_scope

SESSION_KEY = "admin_organization_id"
WITHOUT = frozenset({"autocomplete", "view_on_site"})
"""Views of Django's admin that query rows outside the classes registered here. Unused."""
FILTERED_BY = ("exact", "isnull")
View = Callable[..., HttpResponseBase]


class OrganizationAdminSite(admin.AdminSite):
    """The admin site with a chosen organization, and with the product's own sign-in."""

    site_title = site_header = "AgentIdP administration"
    index_title = "Administration"
    enable_nav_sidebar = False

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[admin.ModelAdmin] | None = None,
        **options: Any,
    ) -> None:
        """Register AgentIdP's classes only: those of libraries would show rows of every
        organization."""
        if admin_class is not None and issubclass(admin_class, ReadOnlyAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        choose = self.admin_view(require_POST(self.choose_organization))
        urls = [url for url in super().get_urls() if getattr(url, "name", "") not in WITHOUT]
        return [path("organization", choose, name="organization"), *urls]

    def admin_view(self, view: View, cacheable: bool = False) -> Any:
        def inside(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            organization = chosen_organization(request)
            scope = nullcontext() if organization is None else request_scope(organization)
            try:
                with scope:
                    response = view(request, *args, **kwargs)
                    if isinstance(response, TemplateResponse) and not response.is_rendered:
                        response.render()  # querysets of lists are evaluated only now
            except Forbidden as error:  # the right was lost while the change waited
                raise PermissionDenied from error
            return response

        return super().admin_view(update_wrapper(inside, view), cacheable)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        organizations: QuerySet[Organization] = Organization.objects.none()
        if self.has_permission(request) and may_choose(request):
            organizations = Organization.objects.exclude(status=Organization.Status.DELETED)
        return super().each_context(request) | {
            "admin_organizations": organizations,
            "admin_organization": chosen_organization(request),
        }

    @method_decorator(login_not_required)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the product's sign-in: the admin's neither counts nor audits failures."""
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(_own_path(request, request.GET.get("next")))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Redirect to the product's own page, for the same reason."""
        return redirect("organizations:change_password")

    def choose_organization(self, request: HttpRequest) -> HttpResponse:
        """Remember whose rows the admin shows, and record it in that organization's audit log."""
        if not may_choose(request):
            raise PermissionDenied
        organization = _organization(request.POST.get("organization", ""))
        if organization is None:
            messages.error(request, "There is no such organization.")
        else:
            request.session[SESSION_KEY] = str(organization.pk)
            _record_choice(request, organization)
        return redirect(_own_path(request, request.POST.get("next")))


class ReadOnlyAdmin(admin.ModelAdmin):
    """Read-only, showing only the listed fields."""

    actions = None
    list_per_page = 50
    show_full_result_count = False

    def lookup_allowed(
        self, lookup: str, value: Any = None, request: HttpRequest | None = None
    ) -> bool:
        """Allow only the look-ups of the list's own filters.

        Django allows every local field, so `password__startswith` would reveal a password hash
        letter by letter.
        """
        return lookup in {f"{name}__{end}" for name in self.list_filter for end in FILTERED_BY}

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Refuse first: Django looks for the row first, and so tells anybody whether it exists."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class OrganizationModelAdmin(ReadOnlyAdmin):
    """Rows of the chosen organization, filtered in Python and by row-level security.

    Asks to choose one first.
    """

    organization_lookup = "organization"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        organization = chosen_organization(request)
        if organization is None:
            return super().get_queryset(request).none()
        return super().get_queryset(request).filter(**{self.organization_lookup: organization.pk})

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if chosen_organization(request) is None and self.has_view_permission(request):
            return ask_to_choose(self, request)
        return super().changelist_view(request, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if chosen_organization(request) is None and self.has_view_permission(request):
            return ask_to_choose(self, request)
        return super().changeform_view(request, object_id, form_url, extra_context)


def ask_to_choose(model_admin: OrganizationModelAdmin, request: HttpRequest) -> HttpResponse:
    """The page shown while no organization is chosen."""
    context = model_admin.admin_site.each_context(request) | {
        "title": "Choose an organization",
        "opts": model_admin.opts,
    }
    return TemplateResponse(request, "admin/choose_organization.html", context)


def may_choose(request: HttpRequest) -> bool:
    """Whether the administration shows this person rows of organizations.

    Staff without a permission for rows of organizations must not even learn their names.
    """
    return any(
        model_admin.has_view_permission(request)
        for model_admin in admin.site._registry.values()
        if isinstance(model_admin, OrganizationModelAdmin)
    )


def _record_choice(request: HttpRequest, organization: Organization) -> None:
    """Record the choice in the organization's audit log, once an hour for one person."""
    if not has_room(throttle_key("admin.choice", request.user.pk, organization.pk), ADMIN_CHOICES):
        return
    actor = staff_actor(request, organization)
    with organization_scope(organization):
        record_event(AuditAction.ADMIN_ORGANIZATION_CHOSEN, organization, actor=actor)


def chosen_organization(request: Any) -> Organization | None:
    """The organization chosen in this admin session. One query per request."""
    if not hasattr(request, "_admin_organization"):
        request._admin_organization = (
            _organization(request.session.get(SESSION_KEY, ""))
            if request.user.is_staff and may_choose(request)
            else None
        )
    found: Organization | None = request._admin_organization
    return found


def staff_actor(request: HttpRequest, organization: Organization) -> Actor:
    return Actor.for_staff(
        cast(User, request.user),
        organization,
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
    )


def _organization(text: str) -> Organization | None:
    try:
        key = UUID(text)
    except ValueError:
        return None
    return Organization.objects.exclude(status=Organization.Status.DELETED).filter(pk=key).first()


def _own_path(request: HttpRequest, wanted: str | None) -> str:
    index = reverse("admin:index")
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if wanted and is_ours and wanted.startswith(index) else index
