"""Remember of what was sent to create and to end an execution, to know the same request again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("executions", "0009_totals")]

    operations = [
        migrations.AddField(
            "execution",
            "sent_digests",
            models.JSONField(
                db_default={},
                default=dict,
                help_text="Of each field of the requests that made and ended it, to know them again.",
            ),
        ),
    ]
