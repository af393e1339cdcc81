"""The members of an organization: people, and the agents that administer it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Agent
from core import mail
from organizations import actions
from organizations.actors import Actor, Scope
from organizations.models import Invitation, Membership, Organization, Principal
from pages.agents.changes import own_agent
from pages.agents.forms import AgentMemberForm
from pages.api_calls import MAX_LIMIT, ApiCall
from pages.confirmation import ASKING_METHODS, Confirmation, ask_first, is_done
from pages.decorators import OrganizationRequest, within_organization
from pages.form_pages import form_page, run_change, submitted_data
from pages.members.forms import InvitationForm
from pages.members.roles import explained
from pages.sent_forms import shown_once

ADMINISTER = Scope.ADMIN_ORGS
MAILED = "They receive a link by email and choose their own password."
SHOWN = "You get a link to send them. They choose their own password."
LINK_UNSEEN = (
    "The link was shown only in the first response: withdraw the invitation and invite them again "
    "for a new one."
)
PAGES = f"More than {MAX_LIMIT} at a time: send nextCursor as cursor for the following ones."
CLOSED = (
    "The page leaves out invitations that the API also returns: those whose status is not open."
)
PEOPLE_SHOWN = AGENTS_SHOWN = 500


def roles_for(actor: Actor) -> list[tuple[str, str]]:
    """The roles that the actor may assign; only owners can make owners."""
    return [
        (value, label)
        for value, label in Membership.Role.choices
        if value != Membership.Role.OWNER or actor.is_owner
    ]


@require_safe
@within_organization()
def members(request: OrganizationRequest) -> HttpResponse:
    """List the members. Everyone may see them; administrators can change them."""
    return show_members(request)


def show_members(
    request: OrganizationRequest,
    *,
    form: InvitationForm | None = None,
    agent_form: AgentMemberForm | None = None,
    **extra: Any,
) -> HttpResponse:
    """The members' page; forms are empty unless one is shown again with errors."""
    organization = request.organization
    form = form or InvitationForm(roles=roles_for(request.actor))
    agent_form = agent_form or AgentMemberForm(organization=organization)
    if agent_form.errors:
        agent_form.fields["agent"].widget.attrs["autofocus"] = True  # it may be far down the page
    people = Membership.objects.filter(organization=organization).select_related("user")
    invitations = Invitation.objects.for_organization(organization).open()
    may_administer = request.actor.may(ADMINISTER)
    context = {
        "people": [
            (member, removal_of(member))
            for member in people.order_by("created_at", "pk")[:PEOPLE_SHOWN]
        ],
        "agents": agent_members(organization),
        "suggestions": suggestions(organization) if may_administer else [],
        "invitations": [(each, withdrawal_of(each)) for each in invitations.backed()]
        if may_administer
        else [],
        "api_calls": api_calls(organization) if may_administer else [],
        "may_administer": may_administer,
        "sends_mail": mail.is_enabled(),
        "invite_summary": MAILED if mail.is_enabled() else SHOWN,
        "is_owner": request.actor.is_owner,
        "roles": roles_for(request.actor),
        "explained": explained(),
        "agent_roles": Principal.Role.choices,
        "agent_form": agent_form,
        **extra,
    }
    return form_page(request, "members/list.html", form, agent_form, **context)


def api_calls(organization: Organization) -> list[ApiCall]:
    base, most = f"/api/v1/organizations/{organization.public_id}", [("limit", MAX_LIMIT)]
    return [
        ApiCall(f"{base}/members", most, ADMINISTER, title="People and agents", left_out=(PAGES,)),
        ApiCall(f"{base}/invitations", most, ADMINISTER, title="Invitations", left_out=(CLOSED,)),
    ]


def removal_of(member: Membership) -> Confirmation:
    return Confirmation(
        address=reverse("organizations:remove_member", args=[member.pk]),
        key=f"remove-{member.pk}",
        button="Remove",
        label=member.user,
        title="Remove this person?",
        subject=str(member.user),
        text="loses access to this organization at once. Their account and what the audit log "
        "says about them stay.",
    )


def removal_of_agent(agent: Agent) -> Confirmation:
    return Confirmation(
        address=reverse("organizations:remove_agent", args=[agent.pk]),
        key=f"remove-agent-{agent.pk}",
        button="Remove",
        label=agent.name,
        title="Remove this agent from the members?",
        subject=agent.name,
        text="can no longer administer this organization; its tokens lose admin:orgs at once. "
        "The agent itself stays as it is.",
    )


def withdrawal_of(invitation: Invitation) -> Confirmation:
    return Confirmation(
        address=reverse("organizations:withdraw_invitation", args=[invitation.pk]),
        key=f"withdraw-{invitation.pk}",
        button="Withdraw",
        label=f"the invitation of {invitation.email}",
        verb="Withdraw the invitation",
        title="Withdraw this invitation?",
        subject=invitation.email,
        text="can no longer join with the link. You can invite them again.",
    )


def agent_members(organization: Organization) -> list[dict[str, Any]]:
    """The agents that are members, by address, with their permissions."""
    roles = dict(agent_principals(organization).values_list("pk", "role"))
    agents = Agent.objects.for_organization(organization).filter(pk__in=roles).order_by("email")
    members = []
    for agent in agents[:AGENTS_SHOWN]:
        is_admin = roles[agent.pk] == Principal.Role.ADMIN
        holds_scope = ADMINISTER in agent.scopes
        members.append(
            {
                "agent": agent,
                "role": roles[agent.pk],
                "removal": removal_of_agent(agent),
                "administers": is_admin and holds_scope and agent.is_active,
                "lacks_scope": is_admin and not holds_scope and not agent.is_decommissioned,
            }
        )
    return members


def agent_principals(organization: Organization) -> QuerySet[Principal]:
    return Principal.objects.filter(organization=organization).exclude(role="")


def suggestions(organization: Organization) -> QuerySet[Agent, str]:
    """Addresses of agents that could become members."""
    others = Agent.objects.for_organization(organization).counted()
    others = others.exclude(pk__in=agent_principals(organization).values("pk"))
    return others.order_by("email").values_list("email", flat=True)[:AGENTS_SHOWN]


@never_cache
@require_POST
@within_organization(ADMINISTER)
def invite(request: OrganizationRequest) -> HttpResponse:
    """Invite a person. The link is shown only in this response, which is therefore not a
    redirect.
    """
    form = InvitationForm(submitted_data(request), roles=roles_for(request.actor))
    made = None
    if form.is_valid():
        made = run_change(
            form,
            lambda: actions.invite(request.organization, actor=request.actor, **form.cleaned_data),
        )
    if made is None:
        return show_members(request, form=form)
    invitation, link = made
    page = show_members(request, invitation=invitation, link=link)
    advice = LINK_UNSEEN if link else f"{invitation.email} will receive a link by email."
    return shown_once(page, advice, "organizations:members")


@require_http_methods(ASKING_METHODS)
@within_organization(ADMINISTER)
def withdraw_invitation(request: OrganizationRequest, invitation_id: UUID) -> HttpResponse:
    invitation = get_object_or_404(
        Invitation.objects.for_organization(request.organization), pk=invitation_id
    )
    if question := ask(request, withdrawal_of(invitation)):
        return question
    return change(
        request,
        lambda: actions.revoke_invitation(invitation, actor=request.actor),
        f"The invitation of {invitation.email} was withdrawn. Its link no longer works.",
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


@require_http_methods(ASKING_METHODS)
@within_organization(ADMINISTER)
def remove(request: OrganizationRequest, membership_id: UUID) -> HttpResponse:
    membership = own_membership(request, membership_id)
    if question := ask(request, removal_of(membership)):
        return question
    return change(
        request,
        lambda: actions.remove_member(membership, actor=request.actor),
        f"{membership.user} is no longer a member of {request.organization.name}.",
    )


@require_POST
@within_organization(ADMINISTER)
def add_agent(request: OrganizationRequest) -> HttpResponse:
    """Make an agent a member."""
    organization = request.organization
    form = AgentMemberForm(submitted_data(request), organization=organization)
    if form.is_valid():
        agent, role = form.cleaned_data["agent"], form.cleaned_data["role"]
        added = run_change(
            form,
            lambda: actions.add_agent(
                organization, actor=request.actor, agent_id=agent.pk, role=role
            ),
        )
        if added:
            messages.success(request, f"{agent.name} is now {as_role(role)} of {organization}.")
            return redirect("organizations:members")
    return show_members(request, agent_form=form)


def own_principal(request: OrganizationRequest, agent: Agent) -> Principal:
    principals = agent_principals(request.organization).select_related("organization")
    return get_object_or_404(principals, pk=agent.pk)


@require_POST
@within_organization(ADMINISTER)
def change_agent_role(request: OrganizationRequest, agent_id: UUID) -> HttpResponse:
    agent = own_agent(request, agent_id)
    principal = own_principal(request, agent)
    role = request.POST.get("role", "")
    if role not in Principal.Role.values:
        messages.error(request, "Choose one of the roles.")
        return redirect("organizations:members")
    return change(
        request,
        lambda: actions.change_role(principal, actor=request.actor, role=role),
        f"{agent.name} is now {as_role(role)}.",
    )


@require_http_methods(ASKING_METHODS)
@within_organization(ADMINISTER)
def remove_agent(request: OrganizationRequest, agent_id: UUID) -> HttpResponse:
    agent = own_agent(request, agent_id)
    principal = own_principal(request, agent)
    if question := ask(request, removal_of_agent(agent)):
        return question
    return change(
        request,
        lambda: actions.remove_member(principal, actor=request.actor),
        f"{agent.name} is no longer a member. Its tokens can no longer administer anything.",
    )


def as_role(role: str) -> str:
    return "an admin" if role == Principal.Role.ADMIN else "a member"


def ask(request: OrganizationRequest, asked: Confirmation) -> HttpResponse | None:
    back = reverse("organizations:members")
    return ask_first(request, asked, back=back, back_label="Members")


def change(request: HttpRequest, run: Callable[[], object], sentence: str) -> HttpResponse:
    is_done(request, run, sentence)
    return redirect("organizations:members")
