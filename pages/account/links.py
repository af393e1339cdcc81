"""Pages of a person's own account: resetting a forgotten password and changing the address."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from core import mail
from core.errors import NotFound, TooManyRequests
from organizations import actions
from organizations.models import AccountLink
from organizations.people.links import find_link
from pages.account.forms import AddressForm, ConfirmForm, ResetForm, ResetRequestForm
from pages.form_pages import form_page, postpone, run_change, submitted_data
from pages.sent_forms import SENT_TWICE, note_sent, was_carried_out


@never_cache
@login_not_required
@transaction.non_atomic_requests
@require_http_methods(["GET", "HEAD", "POST"])
def ask_for_reset(request: HttpRequest) -> HttpResponse:
    """Request a link to set a new password; the response is the same for every address."""
    form = ResetRequestForm(submitted_data(request) if mail.is_enabled() else None)
    is_asked = False
    if form.is_bound and form.is_valid():
        try:
            actions.request_password_reset(request, email=form.cleaned_data["email"])
            is_asked = True
        except TooManyRequests as error:
            postpone(form, error)
    return form_page(
        request,
        "account/reset_request.html",
        form,
        sends_mail=mail.is_enabled(),
        asked=is_asked,
    )


@never_cache
@login_not_required
@transaction.non_atomic_requests
@sensitive_post_parameters("new")
@require_http_methods(["GET", "HEAD", "POST"])
def reset_password(request: HttpRequest, token: str) -> HttpResponse:
    """Set a new password with the link from an email or from the operator."""
    try:
        find_link(token, AccountLink.Purpose.PASSWORD)
    except NotFound:
        return link_gone(request)
    form = ResetForm(submitted_data(request))
    if form.is_bound and form.is_valid():
        done = run_change(
            form, lambda: actions.reset_password(request, token, new=form.cleaned_data["new"])
        )
        if done:
            messages.success(request, "Your password was changed. Sign in with the new one.")
            return redirect("organizations:log_in")
    return form_page(request, "account/reset.html", form)


@never_cache
@transaction.non_atomic_requests
@sensitive_post_parameters("current")
@require_http_methods(["GET", "HEAD", "POST"])
def change_address(request: HttpRequest) -> HttpResponse:
    """Change the address: confirmed by an email to it, or unverified where no email is sent."""
    if was_carried_out(request):
        messages.info(request, SENT_TWICE)
        return redirect(settings.LOGIN_REDIRECT_URL)
    form = AddressForm(submitted_data(request))
    waits = None
    if form.is_bound and form.is_valid():
        waits = run_change(form, lambda: actions.change_address(request, **form.cleaned_data))
    if waits is not None:
        email = form.cleaned_data["email"]
        note_sent(request)
        message = (
            f"Open the link that was sent to {email}." if waits else "Your address was changed."
        )
        messages.success(request, message)
        return redirect(settings.LOGIN_REDIRECT_URL)
    return form_page(request, "account/address.html", form, sends_mail=mail.is_enabled())


@never_cache
@transaction.non_atomic_requests
@sensitive_post_parameters("current")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_address(request: HttpRequest, token: str) -> HttpResponse:
    """Confirm a new address with the emailed link; its owner must be signed in."""
    if was_carried_out(request):
        messages.info(request, SENT_TWICE)
        return redirect(settings.LOGIN_REDIRECT_URL)
    try:
        link = find_link(token, AccountLink.Purpose.ADDRESS)
    except NotFound:
        return link_gone(request)
    if link.user != request.user:
        return link_gone(request)
    form = ConfirmForm(submitted_data(request))
    if form.is_bound and form.is_valid():
        done = run_change(
            form, lambda: actions.confirm_address(request, token, **form.cleaned_data)
        )
        if done:
            note_sent(request)
            messages.success(request, f"{link.email} is now your address.")
            return redirect(settings.LOGIN_REDIRECT_URL)
    return form_page(request, "account/address_confirm.html", form, email=link.email)


def link_gone(request: HttpRequest) -> HttpResponse:
    return render(request, "account/link_gone.html", status=404)
