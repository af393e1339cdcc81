"""Where a request comes from, as far as we can know."""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest

NETWORK_BITS = 64
"""Of an IPv6 address: whoever has one address has all of its network (RFC 6177)."""


def client_address(request: HttpRequest) -> str | None:
    return address_of(request.META)


def address_of(environ: Mapping[str, Any]) -> str | None:
    """The caller's address, as told by the trusted proxies (AGENTIDP_TRUSTED_PROXY_HOPS), if any.

    A caller can write any X-Forwarded-For, so only the entry that our own outermost proxy
    appended counts.
    """
    address = environ.get("REMOTE_ADDR", "")
    hops = settings.TRUSTED_PROXY_HOPS
    if hops:
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(forwarded) >= hops:
            address = forwarded[-hops].strip()
    return plain_address(address)


@lru_cache(maxsize=1024)
def plain_address(text: str) -> str | None:
    """An address in the one spelling that PostgreSQL gives back; None if it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


def caller_network(address: str | None) -> str:
    """What counts as one address: an IPv4 address, or the network of an IPv6 address."""
    if address is None or ":" not in address:
        return address or ""
    return str(ipaddress.ip_network(f"{address}/{NETWORK_BITS}", strict=False))
