"""Values in the cells of the list of executions as links that filter it."""

from typing import Any

from executions.described import MAX_TAGS
from executions.filters import NOBODY
from executions.models import Execution
from pages.executions.page_query import PageQuery, readable

MAX_URL_LENGTH = 1_000
"""A page may have thousands of links, each of which repeats the query. If that is longer, only
statuses are links.
"""
MAX_LENGTH_TOGETHER = 1_000_000
"""Characters of all links of a page; further values are no links. A tag of 64 signs from another
script takes 800 characters in a URL, and a page may have 1,600 tags.
"""


class CellFilters:
    """For each value, the link to the rows with it, and the one to those without it."""

    def __init__(self, query: PageQuery) -> None:
        self.query = query
        self.has_room = len(query.url()) <= MAX_URL_LENGTH
        self.known: dict[tuple[str, str], dict[str, str]] = {}
        self.left = MAX_LENGTH_TOGETHER

    def of(self, execution: Execution) -> dict[str, Any]:
        user = execution.user
        return {
            "status": self._cell("status", execution.status),
            "agent": self._cell("name", execution.agent_name),
            "user": self._cell("user", str(user.external_id) if user else NOBODY)
            | {"word": user.name if user else "nobody"},
            "tags": [self._cell("tag", tag) for tag in execution.tags[:MAX_TAGS]],
        }

    def _cell(self, name: str, value: str) -> dict[str, str]:
        if name == "status":
            return self._linked(name, value)
        if self.left > 0:
            cell = self._linked(name, value)
            self.left -= sum(map(len, cell.values()))
            return cell
        return {"word": value}

    def _linked(self, name: str, value: str) -> dict[str, str]:
        """Without URLs if the filter would not accept the value, or the query is very long."""
        key = name, value
        if key not in self.known:
            self.known[key] = {"word": value}
            if (self.has_room or name == "status") and readable(name, [value]) == [value]:
                self.known[key] |= {
                    "url": self._short(self.query.url_of_only(name, value)),
                    "not_url": self._short(self.query.url_excluding(name, value)),
                }
        return self.known[key]

    def _short(self, url: str) -> str:
        """Relative, because a page has hundreds of them."""
        return url.removeprefix(self.query.request.path)
