from typing import Any

from django.http import HttpRequest


def navigation(request: HttpRequest) -> dict[str, Any]:
    """What the frame of every page shows: the organization, the switcher and the rail."""
    return {"navigation": [], "organization": getattr(request, "organization", None)}
