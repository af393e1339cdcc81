from django.db import migrations

from organizations.tenancy.migration_operations import IsolateOrganizations


class Migration(migrations.Migration):
    dependencies = [("agents", "0001_initial"), ("organizations", "0002_isolation")]

    operations = [IsolateOrganizations("Agent")]
