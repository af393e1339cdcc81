"""The audit log as pages: reading, verifying and exporting it."""

import json
from collections.abc import Iterable
from datetime import date
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.timezone import get_current_timezone
from django.views.decorators.http import require_POST, require_safe

from core.days import day_end, day_start
from core.errors import TooManyRequests
from core.fast_path.responses import LongResponse
from core.formatting import counted
from core.throttling import count_attempt, refuse_when_full, throttle_key
from organizations.audit.actions import AuditAction
from organizations.audit.log import (
    MAX_VERIFIED,
    VERIFICATIONS,
    export_lines,
    record_export,
    verify_chain,
)
from organizations.models import AuditChain, AuditEvent, AuditEventQuerySet, Organization
from organizations.tenancy.shares import share_of
from pages.audit.api_call import call_of
from pages.audit.log_sentences import log_sentences
from pages.decorators import OrganizationRequest, within_organization
from pages.lists import Filter, ListFilters, page_of
from pages.saved_views.menu import with_views

KNOWN_PEOPLE = 100
FILTERS = (
    Filter("action", "action", tuple((name, name) for name in AuditAction), kind="text"),
    Filter("outcome", "outcome", (("success", "success"), ("failure", "failure"))),
    Filter("from", "time", kind="date", verb="is from", title="From"),
    Filter("to", "time", kind="date", verb="is until", title="Until"),
    Filter("agent", "agent", kind="id", is_in_menu=False),
)


@require_safe
@within_organization("audit:read")
@with_views("audit")
def events(request: OrganizationRequest) -> HttpResponse:
    """List the log, newest first."""
    filters = ListFilters.of(request, *FILTERS, actors_of(request.organization))
    page = page_of(request, narrow(request.organization, filters), is_counted=False)
    found = with_names(request.organization, page.object_list)
    context = {
        "filters": filters,
        "views": request.views.showing(filters.state()),
        "page": page,
        "api_calls": [call_of(filters, page, request.zone)],
        "events": found,
        "sentences": log_sentences(request.organization, found, timezone.now()),
        "zone": request.zone,
    }
    return render(request, "audit/list.html", context)


def actors_of(organization: Organization) -> Filter:
    """The filter by actor, which suggests members but accepts any other actor's name as well."""
    people = organization.memberships.order_by("user__email").values_list("user__email", flat=True)
    known = tuple((email, email) for email in people[:KNOWN_PEOPLE])
    return Filter("actor", "actor", known, kind="text", verb="contains")


def with_names(organization: Organization, events: Iterable[AuditEvent]) -> list[AuditEvent]:
    """Add names for actors that the log holds only by id: callers that failed to prove an
    agent's identity.
    """
    found = list(events)
    nameless = [each for each in found if each.actor_label == str(each.actor_id)]
    named = (
        AuditEvent.objects.for_organization(organization)
        .filter(agent_id__in={each.actor_id for each in nameless}, target_type="agent")
        .exclude(target_label="")
        .order_by("agent_id", "-sequence")
        .distinct("agent_id")
        .values_list("agent_id", "target_label")
    )
    names = dict(named) if nameless else {}
    for each in nameless:
        each.actor_label = names.get(each.actor_id, each.actor_label)
    return found


def narrow(organization: Organization, filters: ListFilters) -> AuditEventQuerySet:
    """The events that match the filters; days are in the page's zone."""
    rows, zone = AuditEvent.objects.for_organization(organization), get_current_timezone()
    if action := filters.get("action"):
        # "agent" selects every action on agents.
        rows = rows.filter(Q(action=action) | Q(action__startswith=f"{action}."))
    if filters.get("outcome"):
        rows = rows.filter(outcome=filters.get("outcome"))
    if filters.get("actor"):
        rows = rows.filter(actor_label__contains_text=filters.get("actor"))
    if filters.get("agent"):
        rows = rows.filter(agent_id=filters.get("agent"))
        named = rows.exclude(target_label="").filter(target_type="agent").first()
        if named:
            filters.words["agent"] = named.target_label
    if filters.get("from"):
        first = date.fromisoformat(filters.get("from"))
        rows = rows.filter(occurred_at__gte=day_start(first, zone))
    if filters.get("to"):
        last = date.fromisoformat(filters.get("to"))
        rows = rows.filter(occurred_at__lt=day_end(last, zone))
    return rows


@require_safe
@within_organization("audit:read")
def event(request: OrganizationRequest, event_id: UUID) -> HttpResponse:
    """Show an event with every field that its hash covers."""
    rows = AuditEvent.objects.for_organization(request.organization)
    found = get_object_or_404(rows, pk=event_id)
    with_names(request.organization, [found])
    context = {
        "event": found,
        "sentence": log_sentences(request.organization, [found], timezone.now())[0],
        "sequence": f"{found.sequence:,}",
        "hash": bytes(found.hash).hex(),
        "previous_hash": bytes(found.previous_hash).hex(),
        "metadata": json.dumps(found.metadata, indent=2, ensure_ascii=False),
        "older": rows.filter(sequence=found.sequence - 1).first(),
        "newer": rows.filter(sequence=found.sequence + 1).first(),
    }
    return render(request, "audit/event.html", context)


@require_POST
@within_organization("audit:read")
def verify(request: OrganizationRequest) -> HttpResponse:
    """Verify the chain, or its newest part if it is very long, and show the outcome."""
    organization = request.organization
    key = throttle_key("audit.verify", share_of(organization.pk))
    newest = newest_sequence(organization)
    try:
        refuse_when_full(key, VERIFICATIONS)
    except TooManyRequests as error:
        wait = counted(error.retry_after, "seconds")
        messages.error(request, f"Checked too often. Try again in {wait}.")
        return redirect("organizations:audit")
    first = max(1, newest - MAX_VERIFIED + 1)
    result = verify_chain(organization, first=first, last=newest)
    count_attempt(key, VERIFICATIONS)
    if result.is_intact:
        checked = f"{counted(result.checked, 'events')} {'was' if result.checked == 1 else 'were'}"
        part = (
            "The audit log is intact"
            if first == 1
            else "The newest part of the audit log is intact"
        )
        messages.success(
            request,
            f"{part}: {checked} checked. The last hash is "
            f"{result.head_hash[:8]}…{result.head_hash[-8:]}.",
        )
    else:
        messages.error(
            request, f"The audit log is broken at event {result.broken_at}. {result.reason}"
        )
    return redirect("organizations:audit")


def newest_sequence(organization: Organization) -> int:
    head = AuditChain.objects.for_organization(organization).first()
    return head.sequence if head else 0


@require_safe
@within_organization("audit:read")
def export(request: OrganizationRequest) -> HttpResponseBase:
    """Export the whole log as JSON lines, oldest first, with the hashes for verification
    elsewhere.
    """
    try:
        record_export(request.actor)
    except TooManyRequests as error:
        wait = counted(error.retry_after, "seconds")
        messages.error(request, f"Exported too often. Try again in {wait}.")
        return redirect("organizations:audit")
    organization = request.organization
    last = newest_sequence(organization)
    name = f"audit-{organization.slug}-1-{last}.jsonl"
    return LongResponse(
        export_lines(organization, 1, last),
        caller=request.actor.id,
        content_type="application/jsonl; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
