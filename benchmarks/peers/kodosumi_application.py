"""kodosumi's own panel, for its own interpreter. Only the start of Ray and of its registry of flows
is left out: the dashboard calls neither."""

from typing import Any

from kodosumi import helper
from kodosumi.service import endpoint
from kodosumi.service.app import create_app


async def no_registry(state: Any) -> None:
    """The panel goes on without flows."""


helper.ray_init = helper.ray_shutdown = lambda *arguments, **named: None
endpoint.init = endpoint.destroy = no_registry

__all__ = ["create_app"]
