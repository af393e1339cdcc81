from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from analytics.metrics import reference_page


class Command(BaseCommand):
    help = "Write docs/reference/metrics.md from the metrics that the code defines."

    def handle(self, *args: Any, **options: Any) -> None:
        page = settings.BASE_DIR / "docs" / "reference" / "metrics.md"
        page.write_text(reference_page())
        self.stdout.write(f"Wrote {page.relative_to(settings.BASE_DIR)}.")
