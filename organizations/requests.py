import ipaddress
import zoneinfo
from functools import cache

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The caller's address, as told by the trusted proxies (AGENTIDP_TRUSTED_PROXY_HOPS), if any.

    A caller can write any X-Forwarded-For, so only the entry that our own outermost proxy
    appended counts.
    """
    address = request.META.get("REMOTE_ADDR", "")
    hops = settings.TRUSTED_PROXY_HOPS
    if hops:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(forwarded) >= hops:
            address = forwarded[-hops].strip()
    return plain_address(address)


def plain_address(text: str) -> str | None:
    """An address in the one spelling that PostgreSQL gives back; None if it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


@cache
def known_time_zones() -> frozenset[str]:
    """The IANA names that this machine knows; reading them takes a walk through its files."""
    return frozenset(zoneinfo.available_timezones())
