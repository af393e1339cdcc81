"""Text that is compared gets the one Unicode form in which it is compared from now on."""

from django.db import migrations

from organizations.tenancy.migration_operations import normalize_text


class Migration(migrations.Migration):
    dependencies = [("agents", "0005_tokens_valid_from")]

    operations = [
        normalize_text("agents_agent", "email", unique="true"),
        normalize_text("agents_agent", "owner"),
    ]
