"""The page that registers an agent, with its first credential."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from agents.actions import register_agent
from pages.agents.credentials import show_secret
from pages.agents.forms import RegistrationForm
from pages.decorators import OrganizationRequest, within_organization
from pages.form_pages import form_page, run_change, submitted_data
from tokens.actions import register_with_credential


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@within_organization("agents:read", "agents:write")
def new_agent(request: OrganizationRequest) -> HttpResponse:
    """Register an agent and show the secret of its first credential, if it gets one."""
    form = RegistrationForm(submitted_data(request), actor=request.actor)
    if request.method == "POST" and form.is_valid():
        if form.wants_credential:
            made = run_change(
                form,
                lambda: register_with_credential(
                    form.agent_fields, actor=request.actor, **form.credential_fields
                ),
            )
            if made:
                return show_secret(request, *made, is_first=True)
        else:
            agent = run_change(
                form, lambda: register_agent(actor=request.actor, **form.agent_fields)
            )
            if agent:
                messages.success(request, f"{agent.name} is registered. It has no credential yet.")
                return redirect("agents:detail", agent.pk)
    return form_page(request, "agents/new.html", form)
