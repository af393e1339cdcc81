"""Whether a new secret has got its first token and reported its first run: fragments of the page
that shows the secret, which asks for them until it has.
"""

from uuid import UUID

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from executions.models import Execution
from organizations.actors import Scope
from pages.agents.credentials import own_credential
from pages.agents.secret_usage import SKEW
from pages.agents.snippets import may_report, run_snippets
from pages.decorators import OrganizationRequest, within_organization
from tokens.models import TokenEvent


@require_safe
@within_organization("agents:read")
def first_token(request: OrganizationRequest, agent_id: UUID, credential_id: UUID) -> HttpResponse:
    """The first token of the current secret, or why its newest request was refused."""
    credential = own_credential(request, agent_id, credential_id)
    events = TokenEvent.objects.for_organization(request.organization).filter(
        agent_id=agent_id, created_at__gte=credential.secret_made_at - SKEW
    )
    with_it = Q(credential=credential, secret_hint=credential.secret_hint)
    # A mistyped secret belongs to no credential, and may have been the one before.
    unknown = Q(credential=None, created_at__gte=credential.secret_made_at)
    first = events.filter(with_it, outcome=TokenEvent.Outcome.ISSUED).order_by("created_at").first()
    refused = events.filter(with_it | unknown, outcome=TokenEvent.Outcome.REFUSED)
    may_see_runs = request.actor.may(Scope.EXECUTIONS_READ) and may_report(credential.agent)
    context = {
        "credential": credential,
        "first_token": first,
        "refusal": None if first else refused.order_by("created_at").last(),
        "run_snippets": run_snippets() if first and may_see_runs else [],
        "first_run": None,
    }
    return render(request, "agents/credentials/first_token.html", context)


@require_safe
@within_organization("agents:read", "executions:read")
def first_run(request: OrganizationRequest, agent_id: UUID, credential_id: UUID) -> HttpResponse:
    """The first run that was reported with the current secret's tokens."""
    credential = own_credential(request, agent_id, credential_id)
    runs = (
        Execution.objects.for_organization(request.organization)
        .visible_to(request.actor)
        .without_content()
        .filter(agent_id=agent_id, credential=credential)
        .filter(start_time__gte=(credential.secret_made_at - SKEW).timestamp())
        .order_by("start_time", "pk")
    )
    context = {"credential": credential, "first_run": runs.first()}
    return render(request, "agents/credentials/first_run.html", context)
