"""An organization's settings: name and keys, the limits of its plan, and deletion."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from agents.models import Agent
from core.formatting import number
from core.time_zones import known_time_zones
from executions.quotas import kept, limits_of, stored
from organizations import actions
from organizations.models import Organization
from pages.confirmation import is_done
from pages.decorators import OrganizationRequest, within_organization
from pages.form_pages import form_page, run_change, submitted_data
from pages.settings.forms import OrganizationForm
from tokens.models import MonthlyUsage

ADMINISTER = "admin:orgs"


@require_http_methods(["GET", "HEAD", "POST"])
@within_organization(ADMINISTER)
def organization(request: OrganizationRequest) -> HttpResponse:
    """Show the settings, and save what an administrator may change."""
    # The form changes the instance that it is bound to; the frame must show the saved name.
    own = Organization.objects.get(pk=request.organization.pk)
    form = OrganizationForm(submitted_data(request), instance=own)
    if request.method == "POST" and form.is_valid():
        changed = run_change(
            form,
            lambda: actions.update_organization(
                request.organization, actor=request.actor, **form.cleaned_data
            ),
        )
        if changed:
            messages.success(request, "Settings saved.")
            return redirect("organizations:settings")
    context = {
        "limits": limits(request.organization),
        "zones": sorted(known_time_zones()),
        "may_delete": request.actor.is_owner,
    }
    return form_page(request, "settings/organization.html", form, **context)


def limits(organization: Organization) -> list[dict[str, object]]:
    """The limits of the plan and how much of each is used."""
    agents = Agent.objects.for_organization(organization).counted().count()
    month = timezone.now().date().replace(day=1)
    usage = MonthlyUsage.objects.for_organization(organization).filter(month=month).first()
    issued = usage.issued if usage else 0
    held, most = stored(organization), limits_of(organization)
    return [
        _limit("Agents", agents, organization.max_agents),
        _limit("Tokens this month", issued, organization.max_tokens_per_month),
        _limit("Executions", held.executions, most.executions),
        _limit("Their events", held.event_bytes, most.event_bytes, filesizeformat),
        _limit("Their files", held.file_bytes, most.file_bytes, filesizeformat),
        _limit("Audit log", kept(organization)["audit_bytes"], None, filesizeformat),
    ]


def _limit(
    label: str, used: int, most: int | None, show: Callable[[int], str] = number
) -> dict[str, object]:
    share = 100 * used / most if most else None
    shown = None if most is None else show(most)
    return {"label": label, "used": show(used), "most": shown, "share": share}


@require_POST
@within_organization(ADMINISTER)
def delete(request: OrganizationRequest) -> HttpResponse:
    """Delete the organization. Its name must be typed, because this cannot be undone."""
    if not request.actor.is_owner:
        raise PermissionDenied
    own = request.organization
    if request.POST.get("name", "").strip() != own.name:
        messages.error(request, "Nothing was deleted: type the organization's name exactly.")
        return redirect("organizations:settings")
    said = f"{own.name} is deleted."
    if is_done(request, lambda: actions.delete_organization(own, actor=request.actor), said):
        return redirect("organizations:choose")
    return redirect("organizations:settings")
