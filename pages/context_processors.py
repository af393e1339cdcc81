"""Template context for the frame of every page. Beside urls.py, because it links to all apps'
pages.
"""

from functools import partial
from typing import Any, cast

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from agents.models import Agent
from executions import queries as executions
from organizations.actors import Actor, Scope
from organizations.models import Organization, User
from pages.executions.page_query import ALL_TIME

Group = dict[str, Any]


def navigation(request: HttpRequest) -> dict[str, Any]:
    """The organization, its switcher and the navigation; evaluated lazily, only when shown."""
    organization = getattr(request, "organization", None)
    return {
        "organization": organization,
        "organizations": SimpleLazyObject(partial(organizations_of, request)),
        "navigation": partial(groups, request) if organization else [],
    }


def organizations_of(request: HttpRequest) -> list[Organization]:
    """The organizations that the person may switch to."""
    found = Organization.objects.of_person(cast(User, request.user))
    return sorted(found, key=lambda organization: organization.name)


def groups(request: Any) -> list[Group]:
    """The navigation: only pages that exist and that the person may open."""
    actor: Actor = request.actor
    agents = Agent.objects.for_organization(request.organization).counted().count()
    found = [
        _group(
            "",
            _item(request, "Overview", "overview", "o"),
            *execution_items(request),
        ),
        _group(
            "Identity",
            _item(request, "Agents", "agents:list", "a", count=f"{agents:,}"),
            _item(request, "Requests", "tokens:list", "t"),
            _item(request, "Resources", "tokens:resources", "r"),
            actor.may(Scope.AUDIT_READ) and _item(request, "Audit", "organizations:audit", "u"),
        ),
        _group(
            "Setup",
            _item(request, "Members", "organizations:members", "m"),
            actor.may(Scope.ADMIN_ORGS)
            and _item(request, "Settings", "organizations:settings", "s"),
            _item(request, "API", "docs", "p"),
        ),
    ]
    return [group for group in found if group["items"]]


def execution_items(request: Any) -> list[Group]:
    """The executions, how many run now, and those waiting for an answer, if any."""
    if not request.actor.may(Scope.EXECUTIONS_READ):
        return []
    counts = executions.live_by_status(request.organization, request.actor)
    waiting, running = counts["awaiting"], counts["running"]
    shown = f"{running:,} running" if running else ""
    items = [_item(request, "Executions", "executions:list", "e", count=shown)]
    if waiting:
        label = "Waiting for you"
        url = f"{reverse('executions:list')}?status=awaiting&hours={ALL_TIME}"
        items.append(
            {"label": label, "url": url, "key": "", "count": f"{waiting:,}", "current": False}
        )
    return items


def _group(label: str, *items: Group | bool) -> Group:
    return {"label": label, "items": [item for item in items if item]}


def _item(request: HttpRequest, label: str, name: str, key: str, count: str = "") -> Group:
    url = reverse(name)
    path = request.path_info
    current = path == url or (url != "/" and path.startswith(f"{url}/"))
    return {"label": label, "url": url, "key": key, "count": count, "current": current}
