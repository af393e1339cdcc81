"""The authorization endpoint (RFC 6749 section 3.1), which refuses every request.

There is nothing to authorize: agents get tokens with their own secrets, and no client acts for a
person. The endpoint exists because clients of the Model Context Protocol require
`authorization_endpoint` in the metadata, although RFC 8414 makes it optional
(docs/decisions/0009-authorization-endpoint.md).
"""

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from core.handlers import wants_page

DESCRIPTION = (
    "No response type is supported. Agents get tokens at the token endpoint, with "
    "grant_type=client_credentials."
)


@csrf_exempt  # changes nothing
@login_not_required
@transaction.non_atomic_requests
def authorize(request: HttpRequest) -> HttpResponse:
    """Refuse with unsupported_response_type: as JSON, or as a page in a browser.

    Never redirect (RFC 6749 section 4.1.2.1), because no client has registered a redirect URI.
    """
    response: HttpResponse
    if request.method not in {"GET", "HEAD", "POST"}:
        body = {"error": "invalid_request", "error_description": "Use GET or POST."}
        response = JsonResponse(body, status=405, headers={"Allow": "GET, HEAD, POST"})
    elif wants_page(request):
        response = render(request, "oauth/authorize.html", status=400)
    else:
        body = {"error": "unsupported_response_type", "error_description": DESCRIPTION}
        response = JsonResponse(body, status=400)
    patch_vary_headers(response, ["Accept"])
    return response
