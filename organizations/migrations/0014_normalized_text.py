"""Text that is compared gets the one Unicode form in which it is compared from now on."""

from django.db import migrations

from organizations.tenancy.migration_operations import normalize_text


class Migration(migrations.Migration):
    dependencies = [("organizations", "0013_tokens_valid_from")]

    operations = [
        normalize_text("organizations_user", "email", "username", unique="true", is_scoped=False),
        normalize_text("organizations_user", "name", is_scoped=False),
        normalize_text("organizations_organization", "name", is_scoped=False),
        normalize_text("organizations_accountlink", "email", is_scoped=False),
        normalize_text("organizations_invitation", "email", unique="true"),
    ]
