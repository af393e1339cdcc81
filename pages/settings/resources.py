"""Resources: services that agents get tokens for, and which agents may."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Agent
from organizations.actors import Scope
from pages.api_calls import MAX_LIMIT, ApiCall
from pages.confirmation import ASKING_METHODS, Confirmation, ask_first, is_done
from pages.decorators import OrganizationRequest, within_organization
from pages.form_pages import form_page, run_change, submitted_data
from pages.lists import page_of
from pages.settings.resource_forms import GrantForm, NewResourceForm, ResourceForm
from tokens import resources as actions
from tokens.models import Resource, ResourceGrant

DECIDE = ("agents:read", "admin:orgs")
AGENTS_SHOWN = 500
BY_NAME = (
    f"The order by name and its pages: the API returns the newest first, {MAX_LIMIT} at a time."
)


def own_resource(request: OrganizationRequest, resource_id: UUID) -> Resource:
    return get_object_or_404(
        Resource.objects.for_organization(request.organization), pk=resource_id
    )


@require_safe
@within_organization("agents:read")
def resources(request: OrganizationRequest) -> HttpResponse:
    """List all resources by name, with the number of agents that may get tokens for each."""
    rows = Resource.objects.for_organization(request.organization)
    limit = [("limit", MAX_LIMIT)]
    context = {
        "page": page_of(request, rows.annotate(agents=Count("grants")).order_by("name", "pk")),
        "api_calls": [ApiCall("/api/v1/resources", limit, Scope.AGENTS_READ, left_out=(BY_NAME,))],
        "may_decide": request.actor.may(Scope.ADMIN_ORGS),
    }
    return render(request, "settings/resources/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@within_organization(*DECIDE)
def new_resource(request: OrganizationRequest) -> HttpResponse:
    """Register a resource."""
    form = NewResourceForm(submitted_data(request), organization=request.organization)
    if request.method == "POST" and form.is_valid():
        made = run_change(
            form, lambda: actions.create_resource(actor=request.actor, **form.cleaned_data)
        )
        if made:
            messages.success(request, f"{made.name} is registered. Next, allow an agent to use it.")
            return redirect("tokens:resource", made.pk)
    return form_page(request, "settings/resources/new.html", form)


@require_safe
@within_organization("agents:read")
def resource(request: OrganizationRequest, resource_id: UUID) -> HttpResponse:
    """Show a resource: the settings for its service, and the agents allowed there."""
    found = own_resource(request, resource_id)
    form = GrantForm(resource=found, initial=_initial_of(request, found))
    return show(request, found, form)


def _initial_of(request: OrganizationRequest, resource: Resource) -> dict[str, Any]:
    """The agent named in the URL with its current scopes, or all scopes if it has none."""
    grants = ResourceGrant.objects.for_organization(request.organization)
    grant = None
    if (name := request.GET.get("agent", "")).isprintable() and len(name) <= 255:
        chosen = Agent.objects.for_organization(request.organization).identified_by(name)
        grant = grants.filter(resource=resource, agent__in=chosen).select_related("agent").first()
    if grant is None:
        return {"scopes": resource.scopes}
    return {"agent": grant.agent.email, "scopes": grant.scopes}


def show(request: OrganizationRequest, resource: Resource, form: GrantForm) -> HttpResponse:
    """The resource's page; the form is new unless it is shown again with errors."""
    may_decide = request.actor.may(Scope.ADMIN_ORGS)
    grants = ResourceGrant.objects.for_organization(request.organization).filter(resource=resource)
    others = Agent.objects.for_organization(request.organization).counted()
    others = others.exclude(pk__in=grants.values("agent"))
    issuer = settings.ISSUER
    context = {
        "resource": resource,
        "grants": [
            (grant, removal_of(grant))
            for grant in grants.select_related("agent").order_by("agent__email")[:AGENTS_SHOWN]
        ],
        "deletion": deletion_of(resource),
        "suggestions": others.order_by("email").values_list("email", flat=True)[:AGENTS_SHOWN]
        if may_decide
        else [],
        "may_decide": may_decide,
        "service_settings": (
            f"ISSUER={issuer}\n"
            f"JWKS_URI={issuer}{reverse('jwks')}\n"
            f"AUDIENCE={resource.identifier}\n"
            f"ORGANIZATIONS={request.organization.public_id}"
        ),
        "command": (
            "curl -s -w '\\n' -u $CLIENT_ID:$CLIENT_SECRET -d grant_type=client_credentials "
            f"--data-urlencode 'resource={resource.identifier}' {issuer}{reverse('token')}"
        ),
        "zone": request.zone,
    }
    return form_page(request, "settings/resources/detail.html", form, **context)


@require_http_methods(["GET", "HEAD", "POST"])
@within_organization(*DECIDE)
def edit_resource(request: OrganizationRequest, resource_id: UUID) -> HttpResponse:
    """Change the name, the scopes and the lifetime. The identifier cannot be changed."""
    found = own_resource(request, resource_id)
    form = ResourceForm(submitted_data(request), resource=found)
    if request.method == "POST" and form.is_valid():
        changed = run_change(
            form, lambda: actions.update_resource(found, actor=request.actor, **form.cleaned_data)
        )
        if changed:
            messages.success(request, f"{changed.name} was updated.")
            return redirect("tokens:resource", changed.pk)
    return form_page(request, "settings/resources/edit.html", form, resource=found)


def deletion_of(resource: Resource) -> Confirmation:
    return Confirmation(
        address=reverse("tokens:delete_resource", args=[resource.pk]),
        key=f"delete-{resource.pk}",
        button="Delete resource",
        title="Delete this resource?",
        subject=resource.name,
        text="gets no new tokens. Tokens that agents already have keep working until they expire, "
        "unless the service introspects them. This cannot be undone.",
    )


def removal_of(grant: ResourceGrant) -> Confirmation:
    return Confirmation(
        address=reverse("tokens:remove_agent", args=[grant.resource_id, grant.agent_id]),
        key=f"remove-{grant.agent_id}",
        button="Remove",
        label=grant.agent.name,
        title="Remove this agent?",
        subject=grant.agent.name,
        text="gets no more tokens for this service. A token that it already has keeps working "
        "until it expires, unless the service introspects it.",
    )


def ask(
    request: OrganizationRequest, asked: Confirmation, resource: Resource
) -> HttpResponse | None:
    back = reverse("tokens:resource", args=[resource.pk])
    return ask_first(request, asked, back=back, back_label=resource.name)


@require_http_methods(ASKING_METHODS)
@within_organization(*DECIDE)
def delete_resource(request: OrganizationRequest, resource_id: UUID) -> HttpResponse:
    """Delete a resource with all its grants."""
    found = own_resource(request, resource_id)
    if question := ask(request, deletion_of(found), found):
        return question
    with suppress(actions.ResourceNotFound):  # it was deleted concurrently
        actions.delete_resource(found, actor=request.actor)
    messages.success(request, f"{found.name} is deleted. No more tokens are issued for it.")
    return redirect("tokens:resources")


@require_POST
@within_organization(*DECIDE)
def allow_agent(request: OrganizationRequest, resource_id: UUID) -> HttpResponse:
    """Grant an agent the chosen scopes, replacing those it had."""
    found = own_resource(request, resource_id)
    form = GrantForm(submitted_data(request), resource=found)
    if form.is_valid():
        agent: Agent = form.cleaned_data["agent"]
        scopes: list[str] = form.cleaned_data["scopes"]
        grant = run_change(
            form,
            lambda: actions.allow_agent(found, agent, actor=request.actor, scopes=scopes),
        )
        if grant:
            messages.success(request, f"{agent.name} can now get tokens for {found.name}.")
            return redirect("tokens:resource", found.pk)
    return show(request, found, form)


@require_http_methods(ASKING_METHODS)
@within_organization(*DECIDE)
def remove_agent(request: OrganizationRequest, resource_id: UUID, agent_id: UUID) -> HttpResponse:
    """Remove an agent's grant."""
    found = own_resource(request, resource_id)
    grants = ResourceGrant.objects.for_organization(request.organization)
    grant = get_object_or_404(
        grants.select_related("agent", "resource"), resource=found, agent_id=agent_id
    )
    if question := ask(request, removal_of(grant), found):
        return question
    said = f"{grant.agent.name} gets no more tokens for {found.name}."
    is_done(request, lambda: actions.remove_agent(grant, actor=request.actor), said)
    return redirect("tokens:resource", found.pk)
