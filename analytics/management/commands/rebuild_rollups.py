from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from analytics.rebuild import ROLLUPS, rebuild_rollup
from core.progress import Progress
from core.rollups import Difference
from organizations.management.lookup import organization_named
from organizations.models import Organization


class Command(BaseCommand):
    help = (
        "Compare the rollups of token events and executions with a recount, report differences "
        "and correct them. Safe at any time, beside traffic, and can be repeated. Do not run it "
        "for an organization whose old token events were deleted: the rollups are all that is "
        "left of them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--organization",
            help="the organization's slug or id (org-…); default: all organizations",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        organizations = self._organizations(options["organization"])
        progress = Progress(self.stderr, "rollups")
        for organization in organizations:
            differences = []
            for rollup in ROLLUPS:
                differences.append(rebuild_rollup(organization, rollup))
                progress.show(1, len(organizations) * len(ROLLUPS))
            progress.clear()
            self._report(organization, [each for each in differences if each])

    def _report(self, organization: Organization, differences: list[Difference]) -> None:
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
