"""Account links, which reset a password or verify an address. Each works once, within an hour."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.crypto import constant_time_compare

from core.database_clock import database_time
from core.errors import NotFound
from organizations.models import AccountLink, User
from organizations.people.link_secrets import is_secret, macs_of, new_secret

LIFETIME = timedelta(hours=1)
PATHS = {
    AccountLink.Purpose.PASSWORD: "password/reset",
    AccountLink.Purpose.ADDRESS: "email/confirm",
}


class LinkNotFound(NotFound):
    """Raised alike for unknown, used, replaced and expired links."""

    code = "LINK_NOT_FOUND"
    message = "This link was used, replaced by a newer one, or has expired."


@transaction.atomic
def make_link(user: User, purpose: str, *, email: str = "") -> str:
    """Create a link. The person's older links for the same purpose stop working."""
    secret, mac = new_secret("account link")
    link = new_row(user, purpose, email=email, mac=mac)
    return f"{settings.ISSUER}/{PATHS[AccountLink.Purpose(purpose)]}/{link.pk}.{secret}"


def new_row(user: User, purpose: str, *, email: str = "", mac: bytes = b"") -> AccountLink:
    """Create the row of a link. Without `mac` it cannot be used yet."""
    AccountLink.objects.filter(user=user, purpose=purpose).delete()
    return AccountLink.objects.create(
        user=user,
        purpose=purpose,
        email=email,
        secret_mac=mac,
        expires_at=database_time() + LIFETIME,
    )


def find_link(token: str, purpose: str, *, lock: bool = False) -> AccountLink:
    """The usable link for a token `<id>.<secret>`. Raise LinkNotFound if there is none."""
    key, _, secret = token.partition(".")
    try:
        links = AccountLink.objects.open().filter(pk=UUID(key), purpose=purpose)
    except ValueError:
        raise LinkNotFound from None
    if lock:
        links = links.select_for_update(of=("self",))
    link = links.select_related("user").first()
    if (
        link is None
        or not is_secret(secret)
        or not any(
            constant_time_compare(bytes(link.secret_mac), mac)
            for mac in macs_of("account link", secret)
        )
        or not link.user.is_active
    ):
        raise LinkNotFound
    return link
