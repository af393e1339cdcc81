import json
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from demo import seed


class Command(BaseCommand):
    help = (
        "Fill the database with demonstration data: organizations, people, agents, ninety "
        "days of token requests and thirty days of executions until now. Print the client id "
        "and a new client secret as JSON."
    )

    def handle(self, *args: Any, **options: Any) -> str:
        if not settings.IS_DEMO and settings.ENVIRONMENT != "test":
            raise CommandError(
                "The demonstration has a password that everybody knows. To fill this database "
                "with it all the same: AGENTIDP_DEMO=1 python manage.py seed_demo"
            )
        started = time.monotonic()
        try:
            access = seed.seed()
        except seed.ForeignDatabase as error:
            raise CommandError(str(error)) from None
        self.stderr.write(
            f"Log in as {access.login}, password {access.password}. "
            f"{access.events:,} token events and {access.executions:,} executions in "
            f"{time.monotonic() - started:.1f} s."
        )
        return json.dumps({"client_id": access.client_id, "client_secret": access.client_secret})
