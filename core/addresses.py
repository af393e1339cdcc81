"""The network address that a request came from, as far as it can be trusted."""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest

NETWORK_BITS = 64
"""Prefix length for IPv6. A client usually controls a whole /64, not one address (RFC 6177)."""
WIDER_NETWORK_BITS = 48
"""Prefix length of what a provider may give to one customer: 65,536 networks of the above."""


def client_address(request: HttpRequest) -> str | None:
    return address_of(request.META)


def address_of(environ: Mapping[str, Any]) -> str | None:
    """The caller's address according to the trusted proxies (AGENTIDP_TRUSTED_PROXY_HOPS), or None.

    A caller can write any X-Forwarded-For, so only the entry counts that the
    deployment's outermost proxy appended.
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
    """The address in the spelling that PostgreSQL returns, or None if it is not an IP address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


def caller_network(address: str | None) -> str:
    """The network that is counted as one caller: an IPv4 address, or the /64 of an IPv6 address."""
    if address is None or ":" not in address:
        return address or ""
    return _prefix(address, NETWORK_BITS)


def wider_network(address: str | None) -> str:
    """The network around the caller's that one customer may hold: the /48 of an IPv6 address.

    "" for an IPv4 address: its neighbours are others'.
    """
    if address is None or ":" not in address:
        return ""
    return _prefix(address, WIDER_NETWORK_BITS)


def _prefix(address: str, bits: int) -> str:
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))
