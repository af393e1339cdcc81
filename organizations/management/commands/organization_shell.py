from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import shell

from organizations.management.lookup import organization_named
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope


class Command(shell.Command):
    help = (
        "Open a Django shell inside an organization, available as `organization`. Outside of "
        "an organization its tables look empty. Changes are committed when the shell ends."
    )
    organization: Organization

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the organization's slug or id (org-…)")
        super().add_arguments(parser)

    def handle(self, **options: Any) -> None:
        self.organization = organization_named(options.pop("name"))
        with organization_scope(self.organization):
            super().handle(**options)

    def get_namespace(self, **options: Any) -> dict[str, Any]:
        return super().get_namespace(**options) | {"organization": self.organization}
