"""Pages that change agents. The list and the page of one agent stand in analytics, which sees
their credentials and traffic as well."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST

from agentidp.errors import DomainError
from agents.actions import (
    decommission_agent,
    reactivate_agent,
    register_agent,
    suspend_agent,
    update_agent,
)
from agents.forms import AgentForm
from agents.models import Agent
from organizations.actors import Actor
from organizations.decorators import OrganizationRequest, within_organization
from organizations.pages import accept, form_page, typed


def own_agent(request: OrganizationRequest, agent_id: UUID) -> Agent:
    return get_object_or_404(Agent.objects.for_organization(request.organization), pk=agent_id)


@require_http_methods(["GET", "HEAD", "POST"])
@within_organization("agents:read", "agents:write")
def new_agent(request: OrganizationRequest) -> HttpResponse:
    """Register an agent."""
    form = AgentForm(typed(request), actor=request.actor)
    if request.method == "POST" and form.is_valid():
        agent = accept(form, lambda: register_agent(actor=request.actor, **form.cleaned_data))
        if agent:
            messages.success(request, f"{agent.name} is registered. Give it a credential next.")
            return redirect("agents:detail", agent.pk)
    return form_page(request, "agents/new.html", form)


@require_http_methods(["GET", "HEAD", "POST"])
@within_organization("agents:read", "agents:write")
def edit_agent(request: OrganizationRequest, agent_id: UUID) -> HttpResponse:
    """Change an agent's identity and scopes."""
    agent = own_agent(request, agent_id)
    if agent.is_decommissioned:
        raise Http404
    form = AgentForm(typed(request), actor=request.actor, agent=agent)
    if request.method == "POST" and form.is_valid():
        changed = accept(
            form, lambda: update_agent(agent, actor=request.actor, **form.cleaned_data)
        )
        if changed:
            messages.success(request, f"{changed.name} is changed.")
            return redirect("agents:detail", agent.pk)
    return form_page(request, "agents/edit.html", form, agent=agent)


def life_cycle_view(
    change: Callable[..., Agent], sentence: str
) -> Callable[[HttpRequest, UUID], HttpResponseBase]:
    @require_POST
    @within_organization("agents:read", "agents:write")
    def view(request: OrganizationRequest, agent_id: UUID) -> HttpResponse:
        agent = own_agent(request, agent_id)
        actor: Actor = request.actor
        try:
            change(agent, actor=actor)
        except DomainError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, sentence.format(agent.name))
        return redirect("agents:detail", agent.pk)

    return view


suspend = life_cycle_view(suspend_agent, "{} is suspended. Its tokens no longer work.")
reactivate = life_cycle_view(reactivate_agent, "{} is active again.")
decommission = life_cycle_view(decommission_agent, "{} is decommissioned. Its history stays.")
