from typing import Any

from django.core.management.base import BaseCommand, CommandError

from demo import reset, seed
from organizations.management.lookup import has_tables


class Command(BaseCommand):
    help = (
        "Remove the demonstration data: its organizations with everything in them, and their "
        "people who belong to no other organization. Stop the demonstration first."
    )

    def handle(self, **options: Any) -> None:
        try:
            removed = reset.reset() if has_tables() else []
        except seed.ForeignDatabase as error:
            raise CommandError(str(error)) from None
        if removed:
            self.stdout.write(f"Removed {' and '.join(removed)}.")
        else:
            self.stdout.write("There is no demonstration in this database.")
