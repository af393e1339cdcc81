from typing import Any

from django.core.management.base import BaseCommand

from tokens.pruning import prune_expired


class Command(BaseCommand):
    help = (
        "Delete expired data that can have no effect any more. The worker does the same every "
        "night."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for name, count in prune_expired().items():
            self.stdout.write(f"{count:8d} {name}")
