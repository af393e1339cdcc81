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


class CellFilters:
    """For each value, the link to the rows with it, and the one to those without it."""

    def __init__(self, query: PageQuery) -> None:
        self.query = query
        self.has_room = len(query.url()) <= MAX_URL_LENGTH
        self.known: dict[tuple[str, str], dict[str, str]] = {}

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
