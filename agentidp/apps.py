from django.apps import AppConfig


class AgentIdPConfig(AppConfig):
    """The project package as an app, with checks and commands but no models."""

    name = "agentidp"
    verbose_name = "AgentIdP"

    def ready(self) -> None:
        # They register themselves.
        from agentidp import checks  # noqa: F401
        from core import failures, openapi  # noqa: F401
