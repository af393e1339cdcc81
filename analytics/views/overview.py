from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from organizations.decorators import OrganizationRequest, within_organization


@require_safe
@within_organization()
def overview(request: OrganizationRequest) -> HttpResponse:
    return render(request, "analytics/overview.html", {})
