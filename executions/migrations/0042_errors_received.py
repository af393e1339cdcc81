"""Find in an index when a group of errors was received first, and whether it was since a time."""

from django.db import migrations, models

NAME = "executions_error_received"


class Migration(migrations.Migration):
    atomic = False  # the index is created CONCURRENTLY, and can be again after an interruption
    dependencies = [("executions", "0041_error_resolutions")]

    operations = [
        migrations.RunSQL(
            [
                f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}",
                f"CREATE INDEX CONCURRENTLY {NAME} ON executions_executionerror "
                "(organization_id, fingerprint, created_at)",
            ],
            [f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}"],
            state_operations=[
                migrations.AddIndex(
                    "executionerror",
                    models.Index(fields=["organization", "fingerprint", "created_at"], name=NAME),
                ),
            ],
        ),
    ]
