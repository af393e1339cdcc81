"""The lists that have saved views, and the URL of a view."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from django.urls import reverse

from organizations.actors import Actor, Scope
from organizations.models import SavedList, SavedView
from pages.lists import EVERYTHING, PLACE, VIEW

NOT_KEPT = PLACE | {VIEW, "seen", "until", "open", "finding"}
"""Parameters that say where one is in a list, not what it shows."""
MAX_PAIRS = 100


@dataclass(frozen=True)
class ListOfViews:
    key: str
    page: str
    """The name of the list's URL."""
    scope: str
    everything: str
    """What the list shows without a view."""
    has_density: bool = False

    def url(self, query: str, view: object) -> str:
        return f"{reverse(self.page)}?{'&'.join(filter(None, [query, f'{VIEW}={view}']))}"

    @property
    def everything_url(self) -> str:
        return self.url("", EVERYTHING)


LISTS = {
    each.key: each
    for each in (
        ListOfViews(
            str(SavedList.EXECUTIONS),
            "executions:list",
            Scope.EXECUTIONS_READ,
            "All runs",
            has_density=True,
        ),
        ListOfViews(
            str(SavedList.ERRORS), "executions:errors", Scope.EXECUTIONS_READ, "All errors"
        ),
        ListOfViews(str(SavedList.REQUESTS), "tokens:list", Scope.AGENTS_READ, "All requests"),
        ListOfViews(str(SavedList.AUDIT), "organizations:audit", Scope.AUDIT_READ, "All events"),
    )
}


def lists_of(actor: Actor) -> list[str]:
    """The lists that the actor may read."""
    return [key for key, each in LISTS.items() if actor.may(each.scope)]


def url_of(view: SavedView) -> str:
    """The list as the view shows it."""
    return LISTS[view.list].url(view.query, view.pk)


def pairs_of(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, max_num_fields=MAX_PAIRS)


def query_of(pairs: list[tuple[str, str]]) -> str:
    """The query that a view keeps, in one order, so that the same state is the same text.

    Raise ValueError for text that no URL of a list contains.
    """
    kept = [pair for pair in pairs if pair[1] and pair[0] not in NOT_KEPT]
    if not all(part.isprintable() for pair in kept for part in pair):
        raise ValueError("A view keeps printable text only.")
    return urlencode(sorted(dict.fromkeys(kept)))
