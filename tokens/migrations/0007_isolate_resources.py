from django.db import migrations

from organizations.tenancy.migration_operations import IsolateOrganizations


class Migration(migrations.Migration):
    dependencies = [("tokens", "0006_resources"), ("agents", "0002_isolation")]

    operations = [
        IsolateOrganizations("Resource"),
        IsolateOrganizations(
            "ResourceGrant",
            references={"resource": "tokens.Resource", "agent": "agents.Agent"},
        ),
    ]
