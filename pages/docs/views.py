"""The API reference, and the token with which it sends requests."""

from http import HTTPStatus

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from core.errors import TooManyRequests
from pages.decorators import OrganizationRequest, within_organization
from tokens.sessions import access_in_browser


@require_safe
@within_organization()
def api_page(request: OrganizationRequest) -> HttpResponse:
    """The API reference, which can send requests."""
    return render(request, "docs/api.html")


@never_cache
@require_POST
@within_organization()
def access_token(request: OrganizationRequest) -> HttpResponse:
    """The signed-in person's token for requests from the API reference, as JSON."""
    try:
        access = access_in_browser(request, request.membership)
    except TooManyRequests as error:
        headers = {"Retry-After": str(error.retry_after)}
        return JsonResponse({"message": error.message}, status=error.status, headers=headers)
    if access is None:
        message = "Your session has ended. Sign in again."
        return JsonResponse({"message": message}, status=HTTPStatus.UNAUTHORIZED)
    seconds = int(access.lifetime.total_seconds())
    return JsonResponse({"accessToken": str(access), "expiresIn": seconds})
