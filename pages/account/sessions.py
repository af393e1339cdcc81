"""Signing in and out, choosing an organization, and accepting an invitation."""

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.addresses import client_address
from core.errors import DomainError, NotFound, TooManyRequests
from organizations import actions
from organizations.actions.invitations import find_invitation
from organizations.actions.signing_in import enter
from organizations.models import Invitation, Membership, User
from organizations.people import known_browsers
from pages.account.forms import AcceptForm, LoginForm, PasswordForm
from pages.form_pages import form_page, postpone, run_change, submitted_data
from pages.members.roles import explained
from pages.sent_forms import SENT_TWICE, note_sent, was_carried_out
from panel.login import is_for_programs, respond_to_form

REFUSAL = "Wrong email or password."


def safe_next(request: HttpRequest) -> str:
    """The path to redirect to afterwards: always on this site, never another host."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    is_path = wanted.startswith("/") and not wanted.startswith("//")  # "//" alone is not a page
    return wanted if is_ours and is_path else settings.LOGIN_REDIRECT_URL


@never_cache
@login_not_required
@transaction.non_atomic_requests
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@csrf_exempt
def log_in(request: HttpRequest) -> HttpResponse:
    """The sign-in page, and the address where kodosumi's clients get a key."""
    if is_for_programs(request):
        return respond_to_form(request)
    return _log_in(request)


@csrf_protect
def _log_in(request: HttpRequest) -> HttpResponse:
    """Sign a person in; an unknown address and a wrong password get the same response."""
    if request.user.is_authenticated:
        return redirect(safe_next(request))
    form = LoginForm(submitted_data(request))
    if form.is_bound and form.is_valid():
        name = form.cleaned_data["email"]
        try:
            user = actions.sign_in(request, name=name, password=form.cleaned_data["password"])
            response = redirect(safe_next(request))
            known_browsers.remember(request, response, name, user)
            return response
        except TooManyRequests as error:
            postpone(form, error)
        except DomainError:
            form.add_error(None, REFUSAL)
    return form_page(
        request,
        "account/login.html",
        form,
        next=safe_next(request),
        is_demo=settings.IS_DEMO,
    )


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    actions.sign_out(request)
    messages.info(request, "You are signed out.")
    return redirect("organizations:log_in")


@never_cache
@transaction.non_atomic_requests
@sensitive_post_parameters("current", "new")
@require_http_methods(["GET", "HEAD", "POST"])
def change_password(request: HttpRequest) -> HttpResponse:
    """Change one's own password, which signs out every other browser and client."""
    if was_carried_out(request):
        messages.info(request, f"{SENT_TWICE} Your password was changed.")
        return redirect(settings.LOGIN_REDIRECT_URL)
    form = PasswordForm(submitted_data(request))
    changed = None
    if form.is_bound and form.is_valid():
        changed = run_change(form, lambda: actions.change_password(request, **form.cleaned_data))
    if changed:
        note_sent(request)
        messages.success(request, "Your password was changed. Other sessions have ended.")
        return redirect(settings.LOGIN_REDIRECT_URL)
    return form_page(request, "account/password.html", form)


@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """List the person's organizations; people who belong to none see a notice."""
    return show_choice(request)


def show_choice(request: HttpRequest, status: int = 200) -> HttpResponse:
    memberships = Membership.objects.usable().filter(user=cast(User, request.user))
    context = {"memberships": sorted(memberships, key=lambda each: each.organization.name)}
    return render(request, "account/choose.html", context, status=status)


@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Switch to another of the person's organizations."""
    try:
        membership = actions.choose_organization(request, request.POST.get("organization", ""))
    except TooManyRequests as error:
        messages.error(request, error.message)
        response = show_choice(request, error.status)
        response["Retry-After"] = str(error.retry_after)
        return response
    if membership is None:
        messages.error(request, "You are not a member of that organization.")
        return redirect("organizations:choose")
    messages.success(request, f"You now work in {membership.organization.name}.")
    return redirect(safe_next(request))


@never_cache
@login_not_required
@transaction.non_atomic_requests
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def accept_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Join an organization, as the signed-in person or with a new account.

    Every guest is offered both, because the link must not reveal whether the address has an
    account.
    """
    try:
        invitation = find_invitation(token)
    except NotFound:
        return render(request, "account/invitation_gone.html", status=404)
    context = {
        "invitation": invitation,
        "token": token,
        "path": request.path,
        "explained": explained(invitation.role),
    }
    if request.user.is_authenticated:
        return accept_as_member(request, token, context)
    return accept_as_newcomer(request, token, invitation, context)


def accept_as_member(request: HttpRequest, token: str, context: dict[str, object]) -> HttpResponse:
    user = cast(User, request.user)
    if request.method == "POST":
        try:
            membership = actions.accept_invitation(
                token,
                user=user,
                ip_address=client_address(request),
                user_agent=request.headers.get("User-Agent", ""),
            )
        except DomainError as error:
            messages.error(request, error.message)
            return render(request, "account/invitation.html", context, status=error.status)
        return welcome(request, membership)
    return render(request, "account/invitation.html", context)


def accept_as_newcomer(
    request: HttpRequest, token: str, invitation: Invitation, context: dict[str, object]
) -> HttpResponse:
    form = AcceptForm(submitted_data(request), email=invitation.email)
    if request.method == "POST" and form.is_valid():
        membership = run_change(
            form,
            lambda: actions.accept_invitation(
                token,
                ip_address=client_address(request),
                user_agent=request.headers.get("User-Agent", ""),
                **form.cleaned_data,
            ),
        )
        if membership:
            login(request, membership.user, "organizations.people.authentication.EmailBackend")
            return welcome(request, membership)
    return form_page(request, "account/invitation.html", form, **context)


def welcome(request: HttpRequest, membership: Membership) -> HttpResponse:
    enter(request, membership)
    messages.success(request, f"Welcome to {membership.organization.name}.")
    return redirect("overview")
