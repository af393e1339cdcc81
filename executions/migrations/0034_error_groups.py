"""Find the executions of a group of errors in its index, without reading the errors."""

from django.db import migrations, models

NEW = "executions_error_of_group"
OLD = "executions_error_group"


class Migration(migrations.Migration):
    atomic = False  # the index is created CONCURRENTLY, and can be again after an interruption
    dependencies = [("executions", "0033_error_counts")]

    operations = [
        migrations.RunSQL(
            [
                f"DROP INDEX CONCURRENTLY IF EXISTS {NEW}",
                f"CREATE INDEX CONCURRENTLY {NEW} ON executions_executionerror "
                "(organization_id, fingerprint, timestamp DESC) INCLUDE (execution_id)",
                f"DROP INDEX CONCURRENTLY IF EXISTS {OLD}",
            ],
            [
                f"DROP INDEX CONCURRENTLY IF EXISTS {OLD}",
                f"CREATE INDEX CONCURRENTLY {OLD} ON executions_executionerror "
                "(organization_id, fingerprint, timestamp DESC)",
                f"DROP INDEX CONCURRENTLY IF EXISTS {NEW}",
            ],
            state_operations=[
                migrations.RemoveIndex("executionerror", OLD),
                migrations.AddIndex(
                    "executionerror",
                    models.Index(
                        fields=["organization", "fingerprint", "-timestamp"],
                        include=["execution"],
                        name=NEW,
                    ),
                ),
            ],
        ),
    ]
