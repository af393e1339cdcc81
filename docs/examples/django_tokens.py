"""Let agents into a Django service. Needs: pip install django "pyjwt[crypto]".

Put the middleware into MIDDLEWARE, and AGENT_ISSUER, AGENT_AUDIENCE and AGENT_ORGANIZATIONS into
the settings. A view that agents call carries @needs("files:read"), and finds the token's claims in
request.agent.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import jwt
from agent_tokens import AgentTokens
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

View = Callable[..., HttpResponse]


class AgentTokenMiddleware:
    """Read the bearer token: request.agent holds its claims, or None where there is no token."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.tokens = AgentTokens(
            settings.AGENT_ISSUER, settings.AGENT_AUDIENCE, set(settings.AGENT_ORGANIZATIONS)
        )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        request.agent = None
        if scheme.lower() == "bearer":
            try:
                request.agent = self.tokens.claims(token.strip())
            except jwt.PyJWTError:
                return refusal(401, 'error="invalid_token"')
        return self.get_response(request)


def needs(scope: str) -> Callable[[View], View]:
    """Let agents whose token has the scope call the view."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.agent is None:
                return refusal(401)
            if scope not in request.agent.get("scope", "").split():
                return refusal(403, f'error="insufficient_scope", scope="{scope}"')
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def refusal(status: int, challenge: str = "") -> HttpResponse:
    headers = {"WWW-Authenticate": f"Bearer {challenge}".strip()}
    return JsonResponse({"detail": "Not allowed."}, status=status, headers=headers)
