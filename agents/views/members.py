"""The members of an organization: people, and the agents that administer it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from agentidp.errors import DomainError
from agents.models import Agent
from organizations import actions
from organizations.actors import Actor
from organizations.decorators import OrganizationRequest, within_organization
from organizations.forms import InvitationForm
from organizations.models import Invitation, Membership, Principal
from organizations.pages import accept, typed

ADMINISTER = "admin:orgs"
PEOPLE_SHOWN = 500


def roles_for(actor: Actor) -> list[tuple[str, str]]:
    """The roles that the actor may give: only owners make owners."""
    return [
        (value, label)
        for value, label in Membership.Role.choices
        if value != Membership.Role.OWNER or actor.is_owner
    ]


@require_safe
@within_organization()
def members(request: OrganizationRequest) -> HttpResponse:
    """Everybody sees who belongs here; administrators can change it."""
    return show_members(request, InvitationForm(roles=roles_for(request.actor)))


def show_members(request: OrganizationRequest, form: InvitationForm, **extra: Any) -> HttpResponse:
    organization = request.organization
    people = Membership.objects.filter(organization=organization).select_related("user")
    principals = dict(
        Principal.objects.filter(organization=organization)
        .exclude(role="")
        .values_list("pk", "role")
    )
    agents = Agent.objects.for_organization(organization).filter(pk__in=principals)
    invitations = Invitation.objects.for_organization(organization).open()
    may_administer = request.actor.may(ADMINISTER)
    context = {
        "people": people.order_by("created_at", "pk")[:PEOPLE_SHOWN],
        "agents": [(agent, principals[agent.pk]) for agent in agents],
        "invitations": invitations.select_related("invited_by") if may_administer else [],
        "may_administer": may_administer,
        "is_owner": request.actor.is_owner,
        "roles": roles_for(request.actor),
        "form": form,
        **extra,
    }
    status = 400 if form.errors else 200
    return render(request, "agents/members.html", context, status=status)


@never_cache
@require_POST
@within_organization(ADMINISTER)
def invite(request: OrganizationRequest) -> HttpResponse:
    """Offer a membership. The link is shown in this answer only, so it is no redirect."""
    form = InvitationForm(typed(request), roles=roles_for(request.actor))
    made = None
    if form.is_valid():
        made = accept(
            form,
            lambda: actions.invite(request.organization, actor=request.actor, **form.cleaned_data),
        )
    if made is None:
        return show_members(request, form)
    invitation, link = made
    fresh = InvitationForm(roles=roles_for(request.actor))
    return show_members(request, fresh, invitation=invitation, link=link)


@require_POST
@within_organization(ADMINISTER)
def withdraw_invitation(request: OrganizationRequest, invitation_id: UUID) -> HttpResponse:
    invitation = get_object_or_404(
        Invitation.objects.for_organization(request.organization), pk=invitation_id
    )
    return change(
        request,
        lambda: actions.revoke_invitation(invitation, actor=request.actor),
        f"The invitation of {invitation.email} is withdrawn. Its link no longer works.",
    )


def own_membership(request: OrganizationRequest, membership_id: UUID) -> Membership:
    return get_object_or_404(
        Membership.objects.select_related("user", "organization"),
        pk=membership_id,
        organization=request.organization,
    )


@require_POST
@within_organization(ADMINISTER)
def change_role(request: OrganizationRequest, membership_id: UUID) -> HttpResponse:
    membership = own_membership(request, membership_id)
    role = request.POST.get("role", "")
    if role not in Membership.Role.values:
        messages.error(request, "Choose one of the roles.")
        return redirect("organizations:members")
    return change(
        request,
        lambda: actions.change_role(membership, actor=request.actor, role=role),
        f"{membership.user} is now {Membership.Role(role).label.lower()}.",
    )


@require_POST
@within_organization(ADMINISTER)
def remove(request: OrganizationRequest, membership_id: UUID) -> HttpResponse:
    membership = own_membership(request, membership_id)
    return change(
        request,
        lambda: actions.remove_member(membership, actor=request.actor),
        f"{membership.user} no longer belongs to {request.organization.name}.",
    )


def change(request: HttpRequest, run: Callable[[], object], sentence: str) -> HttpResponse:
    try:
        run()
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, sentence)
    return redirect("organizations:members")
