from typing import Any

from django.core.management.base import BaseCommand

from core.formatting import counted
from executions.regrouping import outdated, regroup_some
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope


class Command(BaseCommand):
    help = (
        "Group errors that were stored by an earlier release by the rules of this one. It can "
        "run while AgentIdP is in use, and can be interrupted and repeated. The worker does "
        "the same every night."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        has_found_any = False
        for organization in Organization.objects.order_by("id"):
            with organization_scope(organization):
                total = outdated(organization).count()
            regrouped = 0
            while done := regroup_some(organization):
                regrouped += done
                self.stdout.write(f"{organization.slug}: {regrouped:,} of {total:,}", ending="\r")
            if regrouped:
                has_found_any = True
                self.stdout.write(f"{organization.slug}: {counted(regrouped, 'errors')} regrouped.")
        if not has_found_any:
            self.stdout.write("All errors are grouped by the rules of this release.")
