"""The rows of the command palette, which static/js/palette.js shows."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pages.decorators import OrganizationRequest, within_organization
from pages.lists import Filter
from pages.palette.rows import rows_for

MAX_LENGTH = 128


@require_safe
@within_organization()
def jump(request: OrganizationRequest) -> HttpResponse:
    """The pages, agents, runs, people and actions that match what was typed."""
    text = Filter("q", "text", kind="text").clean(request.GET.get("q", ""))[:MAX_LENGTH]
    return render(request, "palette/rows.html", {"rows": rows_for(request, text)})
