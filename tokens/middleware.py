"""The token endpoint's short way past what it does not use."""

from collections.abc import Callable
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch, resolve

GetResponse = Callable[[HttpRequest], HttpResponse]

TOKEN_PATH = "/api/v1/token"  # noqa: S105
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}


class TokenEndpointMiddleware:
    """Call the token endpoint at once: it knows no session, no cookie and no page.

    What stands above it in MIDDLEWARE still applies. The rest and the search for the route took a
    third of the processor time of issuing a token (docs/explanation/performance.md).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info != TOKEN_PATH:
            return self.get_response(request)
        request.resolver_match = match = token_endpoint()
        response: HttpResponse = match.func(request)
        for name, value in HEADERS.items():
            response[name] = value
        return response


@cache
def token_endpoint() -> ResolverMatch:
    return resolve(TOKEN_PATH)
