"""Credentials on their agent's page. A secret is shown only in the response that created it.

That response is not a redirect, because the secret would have to be stored to survive one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from core.formatting import counted, time_phrase
from pages.agents.changes import own_agent
from pages.agents.credential_forms import CredentialForm, NameForm, RotationForm
from pages.agents.credential_usage import DAYS, CredentialUsage, usage_of
from pages.agents.secret_usage import SecretUsage, rotation_text, secrets_of, shown_name
from pages.agents.snippets import LANGUAGES, MAX_RESOURCES, grants_of, targets_of, token_url
from pages.confirmation import ASKING_METHODS, Confirmation, ask_first, is_done
from pages.decorators import OrganizationRequest, within_organization
from pages.form_pages import form_page, run_change, submitted_data
from pages.sent_forms import shown_once
from tokens.actions import (
    create_credential,
    end_old_secrets,
    rename_credential,
    revoke_credential,
    rotate_credential,
)
from tokens.models import Credential

UNSEEN = "Its secret was shown only in the first response: rotate the credential for a new one."
RECENT_USE = timedelta(hours=1)
"""Revoking a credential used this recently requires typing which one it is."""


def own_credential(request: OrganizationRequest, agent_id: UUID, credential_id: UUID) -> Credential:
    credentials = Credential.objects.for_organization(request.organization)
    return get_object_or_404(
        credentials.select_related("agent"), pk=credential_id, agent_id=agent_id
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@within_organization("agents:read", "agents:write")
def new_credential(request: OrganizationRequest, agent_id: UUID) -> HttpResponse:
    """Create a credential and show its secret once."""
    agent = own_agent(request, agent_id)
    form = CredentialForm(submitted_data(request))
    if request.method == "POST" and form.is_valid():
        name, expires_at = form.cleaned_data["name"], form.cleaned_data["expires_on"]
        made = run_change(
            form,
            lambda: create_credential(agent, actor=request.actor, expires_at=expires_at, name=name),
        )
        if made:
            return show_secret(request, *made)
    return form_page(request, "agents/credentials/new.html", form, agent=agent)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@within_organization("agents:read", "agents:write")
def rotate(request: OrganizationRequest, agent_id: UUID, credential_id: UUID) -> HttpResponse:
    """Give a credential a new secret and show it once."""
    credential = own_credential(request, agent_id, credential_id)
    form = RotationForm(submitted_data(request), credential)
    if request.method == "POST" and form.is_valid():
        grace = timedelta(seconds=form.cleaned_data["grace_seconds"])
        expires_at = form.cleaned_data["expires_on"]
        made = run_change(
            form,
            lambda: rotate_credential(
                credential, actor=request.actor, grace=grace, expires_at=expires_at
            ),
        )
        if made:
            return show_secret(request, *made)
    return form_page(
        request,
        "agents/credentials/rotate.html",
        form,
        credential=credential,
        agent=credential.agent,
        sentence=f"The {credential} keeps its id and gets a new secret.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@within_organization("agents:read", "agents:write")
def rename(request: OrganizationRequest, agent_id: UUID, credential_id: UUID) -> HttpResponse:
    """Rename a credential."""
    credential = own_credential(request, agent_id, credential_id)
    form = NameForm(submitted_data(request), initial={"name": credential.name})
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        renamed = run_change(
            form, lambda: rename_credential(credential, actor=request.actor, name=name)
        )
        if renamed:
            messages.success(request, f"Renamed: it is now the {renamed}.")
            return redirect("agents:detail", agent_id)
    return form_page(
        request,
        "agents/credentials/rename.html",
        form,
        credential=credential,
        agent=credential.agent,
        sentence=f"The {credential}. Earlier tokens and requests keep its old name.",
    )


def ending_of(credential: Credential, secrets: Sequence[SecretUsage]) -> Confirmation:
    """The confirmation before old secrets end, with their recent use."""
    now, old = timezone.now(), secrets[1:]
    is_one = len(old) <= 1
    last = max((each.last_at for each in old if each.last_at), default=None)
    is_busy = last is not None and now - last < RECENT_USE
    hint = next((each.hint for each in old if each.last_at == last), "") if is_busy else ""
    names = ", ".join(shown_name(each) for each in old)
    return Confirmation(
        address=reverse("tokens:end_old_secrets", args=[credential.agent_id, credential.pk]),
        key=f"end-old-{credential.pk}",
        button="End now",
        label=f"the old secret{'s'[: not is_one]} {names}",
        verb=f"End the old secret{'s'[: not is_one]} now",
        title=f"End the old secret{'s'[: not is_one]} now?",
        subject=f"{names} of {credential.agent.name}",
        text=f"get{'s'[:is_one]} no more tokens. Those that {'it' if is_one else 'they'} obtained "
        f"keep working until they expire. …{credential.secret_hint} keeps working.",
        facts=(rotation_text(secrets, now),) if old else (),
        must_type=hint,
        why_type="It was used within the last hour.",
    )


@require_http_methods(ASKING_METHODS)
@within_organization("agents:read", "agents:write")
def end_old(request: OrganizationRequest, agent_id: UUID, credential_id: UUID) -> HttpResponse:
    """End the grace period of a credential's old secrets."""
    credential = own_credential(request, agent_id, credential_id)
    agent, now = credential.agent, timezone.now()
    back = reverse("agents:detail", args=[agent.pk])
    secrets = secrets_of(agent, [credential], now).get(credential.pk)
    if secrets is None:
        messages.info(request, f"No old secret of the {credential} works any more.")
        return redirect(back)
    confirmation = ending_of(credential, secrets)
    if question := ask_first(request, confirmation, back=back, back_label=agent.name):
        return question
    message = f"Only the current secret of the {credential} works now."
    is_done(request, lambda: end_old_secrets(credential, actor=request.actor), message)
    return redirect(back)


def revocation_of(credential: Credential, usage: CredentialUsage) -> Confirmation:
    """The confirmation before a revocation, with what it ends."""
    now, used = timezone.now(), credential.last_used_at
    is_busy = used is not None and now - used < RECENT_USE
    return Confirmation(
        address=reverse("tokens:revoke_credential", args=[credential.agent_id, credential.pk]),
        key=f"revoke-{credential.pk}",
        button="Revoke",
        label=credential,
        verb="Revoke credential",
        title=f"Revoke the {credential}?",
        subject=f"{credential.label} of {credential.agent.name}",
        text="stops at once, with every token that was obtained with it. This cannot be undone.",
        facts=(traffic_text(credential, usage, now), live_text(usage)),
        must_type=credential.secret_hint if is_busy else "",
        why_type="It was used within the last hour.",
    )


def traffic_text(credential: Credential, usage: CredentialUsage, now: datetime) -> str:
    if credential.last_used_at is None:
        return "It has never obtained a token."
    last = time_phrase(credential.last_used_at, now)
    if not usage.issued:
        return f"It obtained no token in {DAYS} days; the last was {last}."
    return f"It obtained {counted(usage.issued, 'tokens')} in {DAYS} days, the last {last}."


def live_text(usage: CredentialUsage) -> str:
    if not usage.live_tokens:
        return "No live tokens end with it."
    count = counted(usage.live_tokens, "live tokens")
    verb = "ends" if usage.live_tokens == 1 else "end"
    return f"{'At least ' if usage.is_capped else ''}{count} {verb} with it."


@require_http_methods(ASKING_METHODS)
@within_organization("agents:read", "agents:write")
def revoke(request: OrganizationRequest, agent_id: UUID, credential_id: UUID) -> HttpResponse:
    """Revoke a credential permanently."""
    credential = own_credential(request, agent_id, credential_id)
    agent = credential.agent
    confirmation = revocation_of(credential, usage_of(agent, [credential])[credential.pk])
    back = reverse("agents:detail", args=[agent.pk])
    if question := ask_first(request, confirmation, back=back, back_label=agent.name):
        return question
    message = f"The {credential} is revoked. Its tokens no longer work."
    is_done(request, lambda: revoke_credential(credential, actor=request.actor), message)
    return redirect(back)


def show_secret(
    request: OrganizationRequest, credential: Credential, secret: str, *, is_first: bool = False
) -> HttpResponse:
    """The page with a new secret and what to do with it; the first one's agent is new, too."""
    agent = credential.agent
    context = {
        "agent": agent,
        "credential": credential,
        "value": secret,
        "is_first": is_first,
        "targets": targets_of(agent, secret),
        "more_resources": max(grants_of(agent).count() - MAX_RESOURCES, 0),
        "languages": LANGUAGES,
        "token_url": token_url(),
        "first_token": None,
        "refusal": None,
    }
    page = render(request, "agents/credentials/secret.html", context)
    return shown_once(page, UNSEEN, "agents:detail", agent.pk)
