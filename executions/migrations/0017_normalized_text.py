"""Text that is compared gets the one Unicode form in which it is compared from now on."""

from django.db import migrations

from organizations.tenancy.migration_operations import normalize_text


class Migration(migrations.Migration):
    dependencies = [("executions", "0016_searchable")]

    operations = [
        normalize_text("executions_executionuser", "email", "name"),
        normalize_text("executions_execution", "agent_name"),
        normalize_text(
            "executions_executionfile",
            "path",
            unique="other.execution_id = t.execution_id AND other.area = t.area",
        ),
        normalize_text(
            "executions_upload",
            "path",
            unique="other.execution_id = t.execution_id AND other.area = t.area",
        ),
    ]
