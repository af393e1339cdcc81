"""Whether a browser sent a request for a page of another site.

For credentials that a browser adds by itself, where there is no form with a CSRF token: the keys of
kodosumi's clients. Programs that are not browsers send neither header.
"""

from django.http import HttpRequest

OWN = frozenset({"same-origin", "none"})
"""`none` is a person who typed the address (Fetch Metadata, W3C)."""


def is_cross_site(request: HttpRequest) -> bool:
    """By Sec-Fetch-Site, which a page cannot set, or Origin, which old browsers send as well."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in OWN
    origin = request.headers.get("Origin")
    return origin not in {None, f"{request.scheme}://{request.get_host()}"}
