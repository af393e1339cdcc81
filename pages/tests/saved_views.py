"""Saved views, as tests save them and read the menu above a list."""

import re
from typing import Any

from django.test import Client

from organizations.models import Organization, SavedView
from organizations.tenancy.scope import organization_scope

VIEW = {
    "list": "executions",
    "query": "status=error&hours=168",
    "name": "Failed this week",
    "who": "me",
}


def save(browser: Client, **changes: str) -> Any:
    return browser.post("/views/new", VIEW | changes)


def stored(organization: Organization) -> list[SavedView]:
    with organization_scope(organization):
        return list(SavedView.objects.by_name())


def menu_of(page: Any) -> str:
    """The text of the menu above the list."""
    found = re.search(r'<div class="filters">.*?</details>', page.content.decode(), re.DOTALL)
    assert found
    return " ".join(re.sub("<[^>]+>", " ", found[0]).split())
