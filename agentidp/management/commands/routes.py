from typing import Any

from django.core.management.base import BaseCommand

from agentidp.devtools.routes import routes


class Command(BaseCommand):
    help = "List every route with its scopes and the lowest role that has them."
    requires_system_checks: list[str] = []

    def handle(self, **options: Any) -> None:
        found = routes()
        width = max(len(route.path) for route in found)
        for route in found:
            scopes = "-" if route.scopes is None else " ".join(route.scopes) or "any"
            self.stdout.write(
                f"{route.method:6} {route.path:{width}} {route.role or '-':8} {scopes:30} "
                f"{route.view}"
            )
