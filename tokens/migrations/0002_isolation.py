from django.db import migrations

from organizations.tenancy.migration_operations import IsolateOrganizations


class Migration(migrations.Migration):
    dependencies = [("tokens", "0001_initial"), ("agents", "0002_isolation")]

    operations = [
        IsolateOrganizations("Credential", references={"agent": "agents.Agent"}),
        IsolateOrganizations(
            "TokenEvent",
            references={"agent": "agents.Agent", "credential": "tokens.Credential"},
        ),
        IsolateOrganizations("Revocation"),
        IsolateOrganizations("MonthlyUsage", has_id=False),
    ]
