"""Let runtimes without waiting be read from the index that lists are read in the order of."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("executions", "0014_waiting")]

    operations = [
        migrations.RemoveIndex(model_name="execution", name="executions_execution_newest"),
        migrations.AddIndex(
            model_name="execution",
            index=models.Index(
                fields=["organization", "-start_time", "-id"],
                include=("status", "user", "agent_name", "end_time", "waiting_seconds"),
                name="executions_execution_newest",
            ),
        ),
    ]
