"""Text that is compared gets the one Unicode form in which it is compared from now on."""

from django.db import migrations

from organizations.tenancy.migration_operations import normalize_text


class Migration(migrations.Migration):
    dependencies = [("tokens", "0016_used_secrets")]

    operations = [
        normalize_text("tokens_resource", "name"),
    ]
