"""Detects operator secrets that differ from those this database has been used with.

The database stores a MAC of a constant under each secret. A wrong secret is refused at startup
instead of breaking every client and session; a new one is accepted if the previous one is listed as
a fallback.
"""

import hashlib
import hmac
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core.database_clock import database_time
from tokens.models import KnownSecret

NAMES = ("AGENTIDP_SECRET_KEY", "AGENTIDP_SECRET_PEPPER", "AGENTIDP_KEY_ENCRYPTION_KEY")


def require_known_secrets() -> None:
    """Raise ImproperlyConfigured if a secret is not the database's.

    A new secret that has the previous one as a fallback is recorded.
    """
    for name in NAMES:
        newest = _newest(name)
        mac = _mac(name, _secret(name))
        given = {mac, *(_mac(name, each) for each in _fallbacks(name))}
        if newest is not None and bytes(newest.mac) not in given:
            raise ImproperlyConfigured(
                f"{name} is not the one that this database was used with. Set that one, or name it "
                f"in {name}_FALLBACKS; docs/how-to/rotate-server-secrets.md describes how."
            )
        if not KnownSecret.objects.filter(name=name, mac=mac).exists():
            new = KnownSecret(name=name, mac=mac, since=database_time())  # the newest decides
            KnownSecret.objects.bulk_create([new], ignore_conflicts=True)


def is_newest(name: str) -> bool:
    """Whether no process uses a newer secret than this one."""
    newest = _newest(name)
    return newest is not None and bytes(newest.mac) == _mac(name, _secret(name))


def in_use_everywhere(name: str) -> datetime:
    """Record that all processes use the current secret, and return since when."""
    mac = _mac(name, _secret(name))
    known = KnownSecret.objects.filter(name=name, mac=mac)
    known.filter(everywhere_since=None).update(everywhere_since=database_time())
    return known.values_list("everywhere_since", flat=True).get() or database_time()


def forget(name: str) -> None:
    """Accept whatever secret is configured at the next startup."""
    KnownSecret.objects.filter(name=name).delete()


def in_rotation() -> list[str]:
    """The names of secrets that have fallbacks."""
    return [name for name in NAMES if _fallbacks(name)]


def _newest(name: str) -> KnownSecret | None:
    return KnownSecret.objects.filter(name=name).order_by("-since", "-pk").first()


def _secret(name: str) -> str:
    return str(getattr(settings, name.removeprefix("AGENTIDP_")))


def _fallbacks(name: str) -> list[str]:
    return list(getattr(settings, f"{name.removeprefix('AGENTIDP_')}_FALLBACKS"))


def _mac(name: str, secret: str) -> bytes:
    return hmac.digest(secret.encode(), f"in use as {name}".encode(), hashlib.sha256)
