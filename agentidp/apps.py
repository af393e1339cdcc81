from django.apps import AppConfig


class AgentIdPConfig(AppConfig):
    """The project package as an app: it brings checks and commands, and has no models."""

    name = "agentidp"
    verbose_name = "AgentIdP"

    def ready(self) -> None:
        from agentidp import checks  # noqa: F401 - registers the system checks
