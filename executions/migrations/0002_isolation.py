from django.db import migrations

from organizations.tenancy.migration_operations import IsolateOrganizations

EXECUTION = {"execution": "executions.Execution"}


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0001_initial"),
        ("agents", "0002_isolation"),
        ("tokens", "0002_isolation"),
    ]

    operations = [
        IsolateOrganizations("ExecutionUser"),
        IsolateOrganizations(
            "Execution",
            references={
                "agent": "agents.Agent",
                "credential": "tokens.Credential",
                "user": "executions.ExecutionUser",
            },
        ),
        IsolateOrganizations("ExecutionEvent", references=EXECUTION, has_id=False),
        IsolateOrganizations("ExecutionError", references=EXECUTION),
        IsolateOrganizations("ExecutionFile", references=EXECUTION),
        IsolateOrganizations("DeletedExecution", references={"user": "executions.ExecutionUser"}),
        IsolateOrganizations("Upload", references=EXECUTION),
        IsolateOrganizations(
            "UploadPart", references={"upload": "executions.Upload"}, has_id=False
        ),
    ]
