"""Lists every route with the scopes and role it requires (`make routes`)."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from re import sub
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from organizations.actors import SCOPES_OF_ROLE

ELSEWHERE = ("/admin", "/static/")
"""Left out: the admin has its own permissions, and static files are public."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Route:
    """A method of a path. `scopes` is None if the view does not enter an organization."""

    method: str
    path: str
    view: str
    scopes: tuple[str, ...] | None

    @property
    def role(self) -> str:
        """The lowest role of a person with the scopes, or "" if there is none."""
        if self.scopes is None:
            return ""
        roles = (role for role, held in SCOPES_OF_ROLE.items() if set(self.scopes) <= set(held))
        return min(roles, key=lambda role: len(SCOPES_OF_ROLE[role]), default="")


def paths(
    patterns: Sequence[URLPattern | URLResolver] | None = None, prefix: str = "/"
) -> Iterator[tuple[str, Any]]:
    """Every path, as written in the OpenAPI document, with its view."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
        if path.startswith(ELSEWHERE):
            continue
        if isinstance(pattern, URLResolver):
            yield from paths(pattern.url_patterns, path)
        else:
            yield path, pattern.callback


def routes() -> list[Route]:
    """All routes, sorted by path.

    A plain view without declared methods has a single route `ANY`.
    """
    found = [route for path, view in paths() for route in _routes_of(path, view)]
    return sorted(found, key=lambda route: (route.path, route.method))


def _routes_of(path: str, view: Any) -> Iterator[Route]:
    module = view.__module__
    if hasattr(view, "cls"):
        name = f"{module}.{view.cls.__name__}"
        actions = getattr(view, "actions", None) or {
            method.lower(): "" for method in METHODS if hasattr(view.cls, method.lower())
        }
        required = getattr(view.cls, "required_scopes", None)
        for method, action in actions.items():
            scopes = required.get(action, ()) if required is not None else None
            yield Route(method.upper(), path, f"{name}.{action}".rstrip("."), scopes)
    else:
        name = f"{module}.{getattr(view, '__name__', type(view).__name__)}"
        for method in methods_of(view) or ("ANY",):
            yield Route(method, path, name, getattr(view, "required_scopes", None))


def methods_of(view: Callable[..., Any]) -> tuple[str, ...]:
    """Methods that decorators like `require_http_methods` allow on a plain view, without HEAD."""
    function: Any = view
    while function is not None:
        if inspect.isfunction(function):
            allowed = inspect.getclosurevars(function).nonlocals.get("request_method_list")
            if allowed is not None:
                return tuple(method for method in allowed if method != "HEAD")
        function = getattr(function, "__wrapped__", None)
    return ()
