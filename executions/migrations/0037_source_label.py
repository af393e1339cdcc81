"""Name the worker that ran an execution in the administration."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("executions", "0036_errors_before")]

    operations = [
        migrations.AlterField(
            "execution",
            "source",
            models.CharField(
                choices=[
                    ("api", "Reported over the API"),
                    ("kodosumi", "Imported from kodosumi"),
                    ("worker", "Run by an AgentIdP worker"),
                ],
                default="api",
                max_length=16,
            ),
        ),
    ]
