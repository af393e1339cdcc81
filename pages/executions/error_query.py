"""The query of the page of errors, which also filters groups by their state."""

from contextlib import suppress
from typing import Self

from core.errors import InvalidValue
from executions.models import ErrorState
from executions.queries import MAX_STATES, NOT_STATE, STATE, StateFilter, parse_state
from pages.decorators import OrganizationRequest
from pages.executions.page_query import PageQuery
from pages.executions.run_filters import Facet

ERRORS = "executions:errors"
STATES = tuple((str(value), label.lower()) for value, label in ErrorState.choices)


class ErrorQuery(PageQuery):
    """The query of the URL with the states, which mean nothing to the other pages."""

    @classmethod
    def from_request(cls, request: OrganizationRequest) -> Self:
        query = super().from_request(request)
        for name in (STATE, NOT_STATE):
            if found := _readable(name, request.GET.getlist(name)):
                query.parameters[name] = found
        return query

    @property
    def group(self) -> str:
        """The fingerprint of the chosen group."""
        group = self.request.GET.get("group", "").strip()
        return group if group.isprintable() and len(group) <= 40 else ""

    @property
    def states(self) -> StateFilter:
        return StateFilter(*(tuple(self.parameters.get(name, ())) for name in (STATE, NOT_STATE)))

    def url(self, page: str = "", /, **changes: object) -> str:
        if page not in ("", ERRORS):
            changes |= {STATE: None, NOT_STATE: None}
        return super().url(page, **changes)

    @property
    def any_state_url(self) -> str:
        return self.url(**{STATE: None, NOT_STATE: None})

    @property
    def unnarrowed_url(self) -> str:
        narrowing = (name for name in self.parameters if name not in ("hours", "from", "to"))
        return self.url(**dict.fromkeys(narrowing))

    def _facets(self) -> tuple[Facet, ...]:
        if self.group:
            return super()._facets()
        state = Facet(
            name=STATE,
            label="state",
            choices=STATES,
            wanted=self.states.wanted,
            excluded=self.states.excluded,
            is_in_menu=True,
            include_url=self.url_of_opposite(NOT_STATE),
            exclude_url=self.url_of_opposite(STATE),
            keeps_order=True,
        )
        return (state, *super()._facets())


def _readable(name: str, texts: list[str]) -> list[str]:
    """The values that are states; the page ignores others."""
    found: dict[str, None] = {}
    for text in texts:
        with suppress(InvalidValue):
            found[parse_state(name, text)] = None
    return list(found)[:MAX_STATES]
