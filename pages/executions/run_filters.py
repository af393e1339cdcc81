"""The filters of the lists of executions as chips that read as a sentence, and their menu."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pages.lists import Choices, ListFilters

MAX_OFFERED = 30
"""Values that can be ticked; further ones can be typed."""


@dataclass(frozen=True)
class Facet:
    """A filter that may have several values, and values that it excludes."""

    name: str
    label: str
    choices: Choices
    """The values to offer with their labels, the most frequent first."""
    wanted: tuple[str, ...]
    excluded: tuple[str, ...]
    is_in_menu: bool
    include_url: str
    """The URL that has the excluded values as wanted ones."""
    exclude_url: str
    """The URL that excludes the wanted values."""
    keeps_order: bool = False
    """Whether the menu has the order of the choices, not that of the alphabet."""

    @property
    def chips(self) -> list[dict[str, Any]]:
        sides = (
            (self.name, "is", "is not", self.wanted, self.exclude_url),
            (f"not_{self.name}", "is not", "is", self.excluded, self.include_url),
        )
        words = dict(self.choices)
        return [
            {
                "subject": self.label,
                "verb": verb,
                "other_verb": other,
                "verb_url": url,
                "values": [words.get(value, value) for value in values],
                "name": name,
            }
            for name, verb, other, values, url in sides
            if values
        ]

    @property
    def field(self) -> dict[str, Any]:
        """Its part of the menu. Selected values stay even if nothing in the window has them."""
        words = dict(self.choices)
        chosen = dict.fromkeys((*self.wanted, *self.excluded))
        offered = {**chosen, **dict.fromkeys(list(words)[: max(MAX_OFFERED - len(chosen), 0)])}
        ticks = [
            {
                "value": value,
                "label": words.get(value, value),
                "is_wanted": value in self.wanted,
                "is_excluded": value in self.excluded,
            }
            for value in self._in_order(offered)
        ]
        return {
            "name": self.name,
            "label": self.label.capitalize(),
            "kind": "several",
            "ticks": ticks,
            "chosen": len(chosen),
            "choices": [choice for choice in self.choices if choice[0] not in offered],
        }

    def _in_order(self, values: Iterable[str]) -> list[str]:
        words = dict(self.choices)
        if self.keeps_order:
            return [value for value in words if value in set(values)]
        return sorted(values, key=lambda value: (words.get(value) or value).lower())


@dataclass(frozen=True)
class RunFilters(ListFilters):
    """The filters in the URL, several values of some among them."""

    facets: tuple[Facet, ...] = ()

    @property
    def chips(self) -> list[dict[str, Any]]:
        several = [
            {**chip, "remove_url": self.url_without(chip["name"])}
            for facet in self.facets
            for chip in facet.chips
        ]
        return [*several, *super().chips]

    @property
    def fields(self) -> list[dict[str, Any]]:
        return [*(facet.field for facet in self.facets if facet.is_in_menu), *super().fields]

    @property
    def kept(self) -> list[tuple[str, str]]:
        asked = set(_parameters(facet for facet in self.facets if facet.is_in_menu))
        return [pair for pair in super().kept if pair[0] not in asked]

    @property
    def clear_url(self) -> str:
        return self.url_without(*(each.name for each in self.known), *_parameters(self.facets))


def _parameters(facets: Iterable[Facet]) -> list[str]:
    return [name for facet in facets for name in (facet.name, f"not_{facet.name}")]
