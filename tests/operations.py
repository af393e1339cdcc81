"""The API's operations and their views."""

from typing import Any

from agentidp.devtools.routes import paths
from tests.endpoint import ORGANIZATION, Endpoint
from tests.endpoints import ENDPOINTS

VIEWS = dict(paths())


OPERATIONS = [
    each for each in ENDPOINTS if each.access == ORGANIZATION and hasattr(VIEWS[each.path], "cls")
]


def view_of(endpoint: Endpoint) -> Any:
    route = VIEWS[endpoint.path]
    view = route.cls(**route.initkwargs)
    view.action = route.actions[endpoint.method.lower()]
    return view
