from django.apps import AppConfig


class AgentIdPConfig(AppConfig):
    """The project package as an app: it brings checks and commands, and has no models."""

    name = "agentidp"
    verbose_name = "AgentIdP"

    def ready(self) -> None:
        from agentidp import checks, failures, openapi  # noqa: F401 - they register themselves
