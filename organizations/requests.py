import ipaddress

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
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None
