"""Browsers in which a person signed in before, so that a flood from their address does not keep
them out.

A cookie names the accounts, each as a MAC of the name that was typed. Attempts at one of these
names from such a browser are counted, and wait for a hash, apart from all others of the address: an
attacker there cannot use up what belongs to them. The cookie opens nothing, and is no proof of an
identity.
"""

import hmac
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from core.throttling import folded

MAX_AGE = timedelta(days=90)
MAX_NAMES = 5
"""Per browser: the latest ones."""
SALT = "known browser"


def is_known(request: HttpRequest, name: str) -> bool:
    """Whether somebody signed in with this name in this browser before."""
    return _mark(name) in _marks(request)


def remember(request: HttpRequest, response: HttpResponse, name: str) -> None:
    """Let the browser prove later that somebody signed in with this name."""
    mark = _mark(name)
    marks = [mark, *(each for each in _marks(request) if each != mark)][:MAX_NAMES]
    response.set_cookie(
        settings.KNOWN_BROWSER_COOKIE_NAME,
        signing.dumps(marks, salt=SALT),
        max_age=MAX_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _mark(name: str) -> str:
    message = f"known browser:{folded(name)}".encode()
    return hmac.new(settings.SECRET_PEPPER.encode(), message, "sha256").hexdigest()[:32]


def _marks(request: HttpRequest) -> list[str]:
    try:
        found: list[str] = signing.loads(
            request.COOKIES.get(settings.KNOWN_BROWSER_COOKIE_NAME, ""), salt=SALT, max_age=MAX_AGE
        )
    except signing.BadSignature:
        return []
    return found
