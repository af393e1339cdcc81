"""Whether a browser sent a request for a page of another site.

For credentials that a browser adds by itself, where there is no form with a CSRF token: the keys of
kodosumi's clients. Programs that are not browsers send neither header.
"""

from urllib.parse import urlsplit

from django.http import HttpRequest

OWN = frozenset({"same-origin", "none"})
"""`none` is a person who typed the address (Fetch Metadata, W3C)."""


def is_cross_site(request: HttpRequest) -> bool:
    """By Sec-Fetch-Site, which a page cannot set, or Origin, which old browsers send as well."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in OWN
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    try:
        sender = urlsplit(origin)
    except ValueError:
        return True
    return (sender.scheme, sender.netloc) != (request.scheme, request.get_host())
