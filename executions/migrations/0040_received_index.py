from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("executions", "0039_errors_by_what_they_take")]

    operations = [
        migrations.AddIndex(
            model_name="execution",
            index=models.Index(
                condition=models.Q(("status__in", ["finished", "error", "cancelled"])),
                fields=["organization", "changed_at"],
                include=("start_time", "end_time"),
                name="executions_execution_received",
            ),
        ),
    ]
