"""When an execution last said something, by the database's clock: an event's own time is the
engine's, and may come late. A trigger, because there is more than one way to write."""

import django.db.models.functions
from django.db import migrations, models

FUNCTION = """
CREATE FUNCTION executions_keep_changed_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.last_sequence IS DISTINCT FROM OLD.last_sequence
        OR NEW.status IS DISTINCT FROM OLD.status
        OR NEW.meta IS DISTINCT FROM OLD.meta
    THEN
        NEW.changed_at := clock_timestamp();
    ELSE
        NEW.changed_at := OLD.changed_at;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER executions_changed_at BEFORE UPDATE ON executions_execution
FOR EACH ROW EXECUTE FUNCTION executions_keep_changed_at()
"""
NO_FUNCTION = """
DROP TRIGGER executions_changed_at ON executions_execution;
DROP FUNCTION executions_keep_changed_at()
"""


class Migration(migrations.Migration):
    dependencies = [("executions", "0004_heads")]

    operations = [
        migrations.AddField(
            model_name="execution",
            name="changed_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.Now(),
                editable=False,
                help_text="When it last said something, by our clock. A trigger keeps it.",
            ),
        ),
        migrations.RunSQL(FUNCTION, NO_FUNCTION),
    ]
