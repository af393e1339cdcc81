"""In which transaction an execution last said something: of two changes, a follower may have heard
of the one with the later time before the other one was committed."""

from django.db import migrations, models

import executions.models

FUNCTION = """
CREATE OR REPLACE FUNCTION executions_keep_changed_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.last_sequence IS DISTINCT FROM OLD.last_sequence
        OR NEW.status IS DISTINCT FROM OLD.status
        OR NEW.meta IS DISTINCT FROM OLD.meta
    THEN
        NEW.changed_at := clock_timestamp();
        NEW.position := pg_current_xact_id()::text::bigint;
    ELSE
        NEW.changed_at := OLD.changed_at;
        NEW.position := OLD.position;
    END IF;
    RETURN NEW;
END
$$
"""
FORMER_FUNCTION = """
CREATE OR REPLACE FUNCTION executions_keep_changed_at() RETURNS trigger LANGUAGE plpgsql AS $$
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
$$
"""
POSITIONS = {
    "execution": "The transaction in which it last said something. A trigger keeps it.",
    "deletedexecution": "The transaction that deleted it.",
}


def position(model: str, **default: object) -> models.BigIntegerField:
    return models.BigIntegerField(editable=False, help_text=POSITIONS[model], **default)


class Migration(migrations.Migration):
    dependencies = [("executions", "0011_stored_amounts")]

    operations = [
        # First a constant, which writes no row anew; what was there before comes before all.
        *(
            migrations.AddField(model, "position", position(model, db_default=0))
            for model in POSITIONS
        ),
        *(
            migrations.AlterField(
                model, "position", position(model, db_default=executions.models.TransactionNumber())
            )
            for model in POSITIONS
        ),
        migrations.AlterField(
            "execution",
            "changed_at",
            models.DateTimeField(
                db_default=models.functions.Now(),
                editable=False,
                help_text="When it last said something, by our clock. A trigger keeps it. It is no "
                "order: what is committed later may have an earlier time.",
            ),
        ),
        migrations.AlterField(
            "execution",
            "status_time",
            models.FloatField(
                null=True, help_text="When its status was emitted: an import takes no older one."
            ),
        ),
        migrations.RunSQL(FUNCTION, FORMER_FUNCTION),
    ]
