from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("executions", "0012_positions")]

    operations = [
        migrations.AddIndex(
            model_name="execution",
            index=models.Index(
                condition=models.Q(("status__in", ["finished", "error", "cancelled"])),
                fields=["organization", "end_time"],
                name="executions_execution_ended",
            ),
        ),
    ]
