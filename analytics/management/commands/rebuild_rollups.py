from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from analytics.rebuild import rebuild_rollups
from organizations.management.lookup import organization_named
from organizations.models import Organization


class Command(BaseCommand):
    help = (
        "Compare the analytics rollups with a recount of the token events, report differences "
        "and repair them. Safe at any time, and can be repeated. Do not run it for an "
        "organization whose old token events were deleted: the rollups are all that is left "
        "of them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--organization",
            help="the organization's slug or id (org-…); default: all organizations",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for organization in self._organizations(options["organization"]):
            differences = rebuild_rollups(organization)
            for difference in differences:
                self.stdout.write(
                    f"{organization.slug}: {difference.table}: {difference.rows} rows differed"
                )
                for example in difference.examples:
                    self.stdout.write(f"  {example}")
            if not differences:
                self.stdout.write(f"{organization.slug}: all rollups equal the recount")

    def _organizations(self, wanted: str | None) -> list[Organization]:
        if wanted is None:
            return list(Organization.objects.order_by("slug", "pk"))
        return [organization_named(wanted)]
