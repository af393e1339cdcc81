"""Snoozing a finding with a reason, and the list of the snoozed ones."""

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from agents.models import Agent
from analytics.actions import end_snooze, snooze_finding
from analytics.findings.codes import CODES
from analytics.findings.finding import Finding
from analytics.models import FindingSnooze
from analytics.records import findings_of, findings_of_agent, worst_findings
from core.formatting import day_of
from organizations.actors import Scope
from pages.charts import shown_finding
from pages.confirmation import ASKING_METHODS, Confirmation, ask_first, is_done
from pages.decorators import OrganizationRequest, within_organization
from pages.findings.forms import SnoozeForm
from pages.findings.links import may_snooze
from pages.form_pages import form_page, run_change, submitted_data
from pages.lists import Filter

CODE = Filter("code", "code", tuple((code, code) for code in CODES))
AGENT = Filter("agent", "agent", kind="id")
CREDENTIAL = Filter("credential", "credential", kind="id")
DAY = Filter("day", "day", kind="date")
OVER = "The finding has passed meanwhile. There is nothing to snooze."


def asked(request: OrganizationRequest, of: Filter) -> str:
    """The value in the form or, of a page that has not been sent, in the URL."""
    given = request.POST if request.method == "POST" else request.GET
    return of.clean(given.get(of.name, ""))


def named_finding(request: OrganizationRequest) -> Finding | None:
    """The finding that the request names; None if it has passed."""
    code, agent_id = asked(request, CODE), asked(request, AGENT)
    if not code:
        raise Http404
    found: Sequence[Finding]
    if agent_id:
        agents = Agent.objects.for_organization(request.organization)
        found = findings_of_agent(get_object_or_404(agents, pk=agent_id))
    else:
        found = [each for each in findings_of(request.organization) if each.agent_id is None]
    credential, day = asked(request, CREDENTIAL), asked(request, DAY)
    for each in found:
        is_same = each.code == code and str(each.credential_id or "") == credential
        if is_same and (each.day is None or day in map(str, each.dates)):
            return each
    return None


@require_http_methods(["GET", "HEAD", "POST"])
@within_organization(Scope.AGENTS_READ, Scope.AGENTS_WRITE)
def snooze(request: OrganizationRequest) -> HttpResponse:
    """Snooze a finding, or change its snooze."""
    finding = named_finding(request)
    if finding is None:
        messages.info(request, OVER)
        return redirect("overview")
    known = finding.snooze
    form = SnoozeForm(
        submitted_data(request),
        zone=request.zone,
        reason=known.reason if known else "",
        back_on=known.until.astimezone(request.zone).date() if known else None,
    )
    shown = shown_finding(finding)
    if request.method == "POST" and form.is_valid():
        reason, back_on = form.values
        stored = run_change(
            form,
            lambda: snooze_finding(
                finding, actor=request.actor, reason=reason, back_on=back_on, zone=request.zone
            ),
        )
        if stored:
            until = day_of(stored.until, timezone.now())
            messages.success(request, f"The finding is snoozed until {until}.")
            return redirect(shown["url"] or reverse("overview"))
    return form_page(
        request,
        "findings/snooze.html",
        form,
        finding=shown | {"url": ""},
        named=[(each.name, asked(request, each)) for each in (CODE, AGENT, CREDENTIAL, DAY)],
        is_known=known is not None,
        back=shown["url"],
        back_label="Requests" if finding.rows else "Agent",
        ending=ending_of(known) if known else None,
        zone=request.zone,
    )


@require_safe
@within_organization()
def snoozed(request: OrganizationRequest) -> HttpResponse:
    """List the snoozes in force: what each hides, why, who wanted it and until when."""
    rows = FindingSnooze.objects.for_organization(request.organization).in_force()
    agent_id = asked(request, AGENT)
    if agent_id:
        rows = rows.filter(agent=agent_id)
    rows = rows.select_related("snoozed_by", "agent").order_by("until", "pk")
    now = timezone.now()
    hidden = worst_findings(request.organization, now, most=0).snoozed
    current = {each.snooze.pk: each for each in hidden if each.snooze}
    context = {
        "rows": [
            {
                "snooze": row,
                "finding": current.get(row.pk),
                "ending": ending_of(row),
                "back_on": day_of(row.until, now),
            }
            for row in rows
        ],
        "is_of_agent": bool(agent_id),
        "may_end": may_snooze(request.actor),
        "zone": request.zone,
    }
    return render(request, "findings/snoozed.html", context)


def ending_of(found: FindingSnooze) -> Confirmation:
    return Confirmation(
        address=reverse("findings:end", args=[found.pk]),
        key=f"end-{found.pk}",
        button="End the snooze",
        title="End this snooze?",
        label=found.message,
        text=f"“{found.message}” is shown again, if it still holds.",
        is_dangerous=False,
    )


@require_http_methods(ASKING_METHODS)
@within_organization(Scope.AGENTS_READ, Scope.AGENTS_WRITE)
def end(request: OrganizationRequest, snooze_id: UUID) -> HttpResponse:
    """End a snooze."""
    rows = FindingSnooze.objects.for_organization(request.organization)
    found = get_object_or_404(rows, pk=snooze_id)
    back = reverse("findings:snoozed")
    question = ask_first(request, ending_of(found), back=back, back_label="Snoozed findings")
    if question:
        return question
    sentence = "The snooze has ended. The finding is shown again if it still holds."
    is_done(request, lambda: end_snooze(found, actor=request.actor), sentence)
    return redirect(back)
