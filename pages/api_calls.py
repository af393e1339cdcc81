"""What a page shows, as a request to the API.

A list's page says which request returns the same rows. What the API cannot express is named, never
left out in silence. tests/test_api_calls.py sends each one.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from core.pagination import MAX_OFFSET, MAX_PAGE
from pages.lists import ListPage

MAX_LIMIT = 100
"""Rows of a page of the lists under /api/v1."""


@dataclass(frozen=True)
class ApiCall:
    """A request that returns what is called `title`."""

    path: str
    query: Sequence[tuple[str, Any]]
    scope: str
    """What its token needs; empty if any token will do."""
    title: str = ""
    left_out: tuple[str, ...] = ()
    """Sentences about what the page has and the response does not."""

    @property
    def label(self) -> str:
        """What the command is, for screen readers and on its button."""
        return f"the command for {self.title.lower()}" if self.title else "the command"

    @property
    def url(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def command(self) -> str:
        return (
            f'curl -s -H "Authorization: Bearer $TOKEN" {shlex.quote(settings.ISSUER + self.url)}'
        )


def paged(page: ListPage) -> list[tuple[str, Any]]:
    """`limit` and `page`, as the lists under /api/v1 have them."""
    return [("limit", page.paginator.per_page), ("page", min(page.number, MAX_PAGE))]


def sliced(page: ListPage) -> list[tuple[str, Any]]:
    """`limit` and `offset`, as the lists under /api/dashboard have them."""
    size = page.paginator.per_page
    return [("limit", size), ("offset", min((page.number - 1) * size, MAX_OFFSET))]
