from typing import Any

import django_filters

from agentidp.errors import InvalidValue

PAGING = frozenset({"page", "limit", "format"})


class StrictFilterSet(django_filters.FilterSet):
    """Refuses an unknown or repeated query parameter: a misspelled filter must not widen a list."""

    def is_valid(self) -> bool:
        known = set(self.filters) | PAGING
        for name in self.data:
            if name not in known:
                problem = "This parameter is unknown."
                raise InvalidValue(f"{name}: {problem}", **{name: [problem]})
            if len(_values(self.data, name)) > 1:
                problem = "Give this parameter once."
                raise InvalidValue(f"{name}: {problem}", **{name: [problem]})
        return bool(super().is_valid())


def _values(data: Any, name: str) -> list[Any]:
    return data.getlist(name) if hasattr(data, "getlist") else [data[name]]
