"""Keep how long each execution awaited an answer: its runtime does not count that.

What ran before is read again from its events by 0019: only this needs the whole table for a moment.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("executions", "0013_ended_index")]

    operations = [
        migrations.AddField(
            model_name="execution",
            name="waiting_seconds",
            field=models.FloatField(
                db_default=0,
                default=0,
                help_text="How much of the time from the first to the last event it awaited an "
                "answer.",
            ),
        ),
    ]
