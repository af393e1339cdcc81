"""Resolving a group of errors, and reopening it: neither destroys anything, so nobody is asked."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from core.text import NameInput
from executions.actions import reopen_error_group, resolve_error_group
from executions.models import MAX_NOTE, ErrorState, sees_all
from executions.queries import GroupState, state_of
from organizations.actors import Actor, Scope
from pages.audit.sentences import names_of
from pages.confirmation import is_done
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.error_query import ERRORS, ErrorQuery

RIGHTS = ("executions:read", "executions:write")
RESOLVED = "Resolved. The group becomes regressed if one of its errors is received again."
REOPENED = "The group is open again, as if it had never been resolved."


class ResolutionForm(forms.Form):
    """Why the group is resolved."""

    note = NameInput(
        label="What fixed it",
        required=False,
        max_length=MAX_NOTE,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


def state_context(query: ErrorQuery, found: GroupState | None) -> dict[str, Any]:
    """The state of the chosen group, and what the actor may do about it."""
    if found is None:
        return {}
    actor, group = query.request.actor, query.group
    names = names_of({found.resolver}) if found.resolver else {}
    _, _, text = query.url(ERRORS).partition("?")
    address = {
        word: f"{reverse(f'executions:{word}', args=[group])}{f'?{text}' if text else ''}"
        for word in ("resolve", "reopen")
    }
    return {
        "state": found,
        "resolved_by": names.get(found.resolver) or found.resolved_by,
        "is_resolved": found.state == ErrorState.RESOLVED,
        "is_regressed": found.state == ErrorState.REGRESSED,
        "may_resolve": may_resolve(actor),
        "addresses": address,
        "form": ResolutionForm(),
    }


def may_resolve(actor: Actor) -> bool:
    return actor.may(Scope.EXECUTIONS_WRITE) and sees_all(actor)


@require_POST
@within_organization(*RIGHTS)
def resolve(request: OrganizationRequest, fingerprint: str) -> HttpResponse:
    """Resolve a group of errors."""
    _require_group(request, fingerprint)
    form = ResolutionForm(request.POST)
    if form.is_valid():
        note = form.cleaned_data["note"]
        is_done(
            request,
            lambda: resolve_error_group(fingerprint, actor=request.actor, note=note),
            RESOLVED,
        )
    else:
        messages.error(request, f"Not resolved. What fixed it: {form.errors['note'][0]}")
    return _back(request, fingerprint)


@require_POST
@within_organization(*RIGHTS)
def reopen(request: OrganizationRequest, fingerprint: str) -> HttpResponse:
    """Take the resolution of a group of errors back."""
    _require_group(request, fingerprint)
    is_done(request, lambda: reopen_error_group(fingerprint, actor=request.actor), REOPENED)
    return _back(request, fingerprint)


def _require_group(request: OrganizationRequest, fingerprint: str) -> None:
    known = fingerprint.isprintable()
    if not known or state_of(request.organization, request.actor, fingerprint) is None:
        raise Http404


def _back(request: OrganizationRequest, fingerprint: str) -> HttpResponse:
    return redirect(ErrorQuery.from_request(request).url(ERRORS, group=fingerprint))
