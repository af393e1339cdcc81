from typing import Any

from django.core.management.base import BaseCommand

from executions.regrouping import outdated, regroup_some
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope


class Command(BaseCommand):
    help = (
        "Give errors that were stored by an earlier release the groups of this one. May run while "
        "the product runs, may be ended and started again; the worker does the same every night."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for organization in Organization.objects.order_by("id"):
            with organization_scope(organization):
                total = outdated(organization).count()
            regrouped = 0
            while done := regroup_some(organization):
                regrouped += done
                self.stdout.write(f"{organization.slug}: {regrouped:,} of {total:,}", ending="\r")
            if regrouped:
                self.stdout.write(f"{organization.slug}: {regrouped:,} errors have new groups.")
