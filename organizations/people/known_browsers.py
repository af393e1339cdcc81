"""Browsers in which a person signed in before, so that a flood from their address does not keep
them out.

A cookie names pairs: the MAC of a typed name, and that of the account unless it verified the
address. Attempts at one of these names from such a browser are counted, and wait for a hash, apart
from all others of the address: an attacker there cannot use up what belongs to them. The cookie
opens nothing, and is no proof of an identity. Anyone can give an account of theirs somebody else's
address, so an account that has not verified it has a line of its own.
"""

import hmac
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from core.throttling import folded
from organizations.models import User

MAX_AGE = timedelta(days=90)
MAX_NAMES = 5
"""Per browser: the latest ones."""
SALT = "known browser"


def line_of(request: HttpRequest, name: str) -> str:
    """Whose line the attempt at this name takes: that of the name, or of an account that claims it.

    "" if nobody signed in with this name in this browser before.
    """
    account = dict(_marks(request)).get(_mac("name", folded(name)))
    return "" if account is None else _mac("line", folded(name), account)


def remember(request: HttpRequest, response: HttpResponse, name: str, user: User) -> None:
    """Let the browser prove later that this person signed in with this name."""
    known = _mac("name", folded(name))
    account = "" if user.is_verified else _mac("account", str(user.pk))
    marks = [(known, account), *(each for each in _marks(request) if each[0] != known)]
    response.set_cookie(
        settings.KNOWN_BROWSER_COOKIE_NAME,
        signing.dumps(marks[:MAX_NAMES], salt=SALT),
        max_age=MAX_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _mac(*parts: str) -> str:
    message = "\x1f".join(("known browser", *parts)).encode()
    return hmac.new(settings.SECRET_PEPPER.encode(), message, "sha256").hexdigest()[:32]


def _marks(request: HttpRequest) -> list[tuple[str, str]]:
    """The MAC of each name, and that of its account unless the address is verified."""
    try:
        found = signing.loads(
            request.COOKIES.get(settings.KNOWN_BROWSER_COOKIE_NAME, ""), salt=SALT, max_age=MAX_AGE
        )
    except signing.BadSignature:
        return []
    # A cookie of an earlier release names no accounts.
    return [(each[0], each[1]) for each in found if isinstance(each, list)]
