"""Sort the runtimes of executions that have ended into bins, for percentiles of any window."""

from django.db import migrations, models

BIN = """
CREATE OR REPLACE FUNCTION executions_runtime_bin(runtime double precision) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN runtime < 0.0078125 THEN -29
        WHEN runtime >= 1073741824 THEN 120
        ELSE floor(ln(runtime) / ln(2.0::double precision) * 4)
    END::smallint;
$$;
"""
KEEP = """
CREATE OR REPLACE FUNCTION executions_keep_runtime() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.runtime_seconds := CASE
        WHEN NEW.status IN ('finished', 'error', 'cancelled') AND NEW.end_time > NEW.start_time
        THEN NEW.end_time - NEW.start_time - NEW.waiting_seconds
    END;
    NEW.runtime_bin := executions_runtime_bin(NEW.runtime_seconds);
    RETURN NEW;
END $$;
"""
KEEP_BEFORE = """
CREATE OR REPLACE FUNCTION executions_keep_runtime() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.runtime_seconds := CASE
        WHEN NEW.status IN ('finished', 'error', 'cancelled') AND NEW.end_time > NEW.start_time
        THEN NEW.end_time - NEW.start_time - NEW.waiting_seconds
    END;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("executions", "0026_searchable_in_time")]

    operations = [
        migrations.AddField(
            "execution",
            "runtime_bin",
            models.SmallIntegerField(
                null=True,
                editable=False,
                help_text="The bin of that runtime; set by the same trigger.",
            ),
        ),
        migrations.RunSQL(BIN, "DROP FUNCTION executions_runtime_bin(double precision)"),
        migrations.RunSQL(KEEP, KEEP_BEFORE),
    ]
