"""Pages that change agents."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from agents.actions import (
    decommission_agent,
    reactivate_agent,
    suspend_agent,
    update_agent,
)
from agents.models import Agent
from pages.agents.forms import AgentForm
from pages.confirmation import ASKING_METHODS, Confirmation, ask_first, is_done
from pages.decorators import OrganizationRequest, within_organization
from pages.form_pages import form_page, run_change, submitted_data


def own_agent(request: OrganizationRequest, agent_id: UUID) -> Agent:
    return get_object_or_404(Agent.objects.for_organization(request.organization), pk=agent_id)


@require_http_methods(["GET", "HEAD", "POST"])
@within_organization("agents:read", "agents:write")
def edit_agent(request: OrganizationRequest, agent_id: UUID) -> HttpResponse:
    """Change an agent's identity and scopes."""
    agent = own_agent(request, agent_id)
    if agent.is_decommissioned:
        raise Http404
    form = AgentForm(submitted_data(request), actor=request.actor, agent=agent)
    if request.method == "POST" and form.is_valid():
        changed = run_change(
            form, lambda: update_agent(agent, actor=request.actor, **form.cleaned_data)
        )
        if changed:
            messages.success(request, f"{changed.name} was updated.")
            return redirect("agents:detail", agent.pk)
    return form_page(request, "agents/edit.html", form, agent=agent)


def suspension_of(agent: Agent) -> Confirmation:
    return Confirmation(
        address=reverse("agents:suspend", args=[agent.pk]),
        key=f"suspend-{agent.pk}",
        button="Suspend",
        verb="Suspend agent",
        title="Suspend this agent?",
        subject=agent.name,
        text="gets no new tokens, and those it has stop working at once. You can reactivate it "
        "at any time.",
        is_dangerous=False,
    )


def reactivation_of(agent: Agent) -> Confirmation:
    return Confirmation(
        address=reverse("agents:reactivate", args=[agent.pk]),
        key=f"reactivate-{agent.pk}",
        button="Reactivate",
        verb="Reactivate agent",
        title="Reactivate this agent?",
        subject=agent.name,
        text="can request tokens again with its existing credentials.",
        is_dangerous=False,
    )


def decommissioning_of(agent: Agent) -> Confirmation:
    return Confirmation(
        address=reverse("agents:decommission", args=[agent.pk]),
        key=f"decommission-{agent.pk}",
        button="Decommission agent",
        title="Decommission this agent?",
        subject=agent.name,
        text="is retired for good: its tokens stop at once and its credentials never work again. "
        "This cannot be undone.",
    )


def life_cycle_view(
    change: Callable[..., Agent], ask: Callable[[Agent], Confirmation], sentence: str
) -> Callable[[HttpRequest, UUID], HttpResponseBase]:
    @require_http_methods(ASKING_METHODS)
    @within_organization("agents:read", "agents:write")
    def view(request: OrganizationRequest, agent_id: UUID) -> HttpResponse:
        agent = own_agent(request, agent_id)
        back = reverse("agents:detail", args=[agent.pk])
        if question := ask_first(request, ask(agent), back=back, back_label=agent.name):
            return question
        is_done(request, lambda: change(agent, actor=request.actor), sentence.format(agent.name))
        return redirect(back)

    return view


suspend = life_cycle_view(
    suspend_agent, suspension_of, "{} is suspended. Its tokens no longer work."
)
reactivate = life_cycle_view(reactivate_agent, reactivation_of, "{} is active again.")
decommission = life_cycle_view(
    decommission_agent, decommissioning_of, "{} is decommissioned. Its history stays."
)
