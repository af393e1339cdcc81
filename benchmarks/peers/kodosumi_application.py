"""kodosumi's own panel, for its own interpreter, without starting Ray and the registry of flows:
the dashboard uses neither.
"""

from typing import Any

from kodosumi import helper
from kodosumi.service import endpoint
from kodosumi.service.app import create_app


async def no_registry(state: Any) -> None:
    """Replaces the start of the registry; the panel then has no flows."""


helper.ray_init = helper.ray_shutdown = lambda *arguments, **named: None
endpoint.init = endpoint.destroy = no_registry

__all__ = ["create_app"]
