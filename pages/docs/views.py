from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pages.decorators import OrganizationRequest, within_organization


@require_safe
@within_organization()
def api_page(request: OrganizationRequest) -> HttpResponse:
    """The API reference, which can make calls with a token."""
    return render(request, "docs/api.html")
