"""The head of an audit log knows how many bytes its events take."""

from typing import Any

from django.db import migrations, models, transaction

MOVE_HEAD = """
-- Which audit events belong to the log: those that follow its head, which they move and whose size
-- it sums up; any other one is refused. Trigger organizations_auditevent_moves_head; runs as the
-- owner.
CREATE OR REPLACE FUNCTION organizations_move_audit_head() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    tenant uuid;
    event record;
    head record;
    more bigint;
BEGIN
    FOR tenant IN SELECT DISTINCT added.organization_id FROM added LOOP
        SELECT * INTO head FROM organizations_lock_audit_head(tenant);
        FOR event IN SELECT added.sequence, added.previous_hash, added.hash FROM added
                     WHERE added.organization_id = tenant ORDER BY added.sequence LOOP
            IF event.sequence <> head.sequence + 1 OR event.previous_hash <> head.hash
               OR octet_length(event.hash) <> 32 THEN
                RAISE EXCEPTION 'The audit event % does not follow event %.',
                    event.sequence, head.sequence USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            head.sequence := event.sequence;
            head.hash := event.hash;
        END LOOP;
        -- 512 bytes are for the other columns and the indexes.
        SELECT sum(512 + octet_length(added.metadata::text) + octet_length(added.user_agent)
                   + octet_length(added.actor_label) + octet_length(added.target_label))
        INTO more FROM added WHERE added.organization_id = tenant;
        UPDATE organizations_auditchain
        SET sequence = head.sequence, hash = head.hash, event_bytes = event_bytes + more
        WHERE organization_id = tenant;
    END LOOP;
    RETURN NULL;
END $$;
"""
MOVE_HEAD_BEFORE = """
-- Which audit events belong to the log: those that follow its head, which they move; any other one
-- is refused. Trigger organizations_auditevent_moves_head; runs as the owner.
CREATE OR REPLACE FUNCTION organizations_move_audit_head() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    tenant uuid;
    event record;
    head record;
BEGIN
    FOR tenant IN SELECT DISTINCT added.organization_id FROM added LOOP
        SELECT * INTO head FROM organizations_lock_audit_head(tenant);
        FOR event IN SELECT added.sequence, added.previous_hash, added.hash FROM added
                     WHERE added.organization_id = tenant ORDER BY added.sequence LOOP
            IF event.sequence <> head.sequence + 1 OR event.previous_hash <> head.hash
               OR octet_length(event.hash) <> 32 THEN
                RAISE EXCEPTION 'The audit event % does not follow event %.',
                    event.sequence, head.sequence USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            head.sequence := event.sequence;
            head.hash := event.hash;
        END LOOP;
        UPDATE organizations_auditchain SET sequence = head.sequence, hash = head.hash
        WHERE organization_id = tenant;
    END LOOP;
    RETURN NULL;
END $$;
"""
LOCK = "SELECT FROM organizations_auditchain WHERE organization_id = %s FOR UPDATE"
SUM = """
UPDATE organizations_auditchain SET event_bytes = (
    SELECT coalesce(sum(512 + octet_length(e.metadata::text) + octet_length(e.user_agent)
                        + octet_length(e.actor_label) + octet_length(e.target_label)), 0)
    FROM organizations_auditevent e WHERE e.organization_id = %s
) WHERE organization_id = %s
"""


def fill(apps: Any, editor: Any) -> None:
    """With each head locked first, so that its sum has every event once."""
    alias = editor.connection.alias
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT id FROM organizations_organization")
        for (organization,) in cursor.fetchall():
            with transaction.atomic(alias):
                scope = "SELECT set_config('app.organization_id', %s, true)"
                cursor.execute(scope, [str(organization)])
                cursor.execute(LOCK, [organization])
                cursor.execute(SUM, [organization, organization])


class Migration(migrations.Migration):
    # Each organization is committed by itself, so that requests go on meanwhile. To run it again
    # does the same again.
    atomic = False
    dependencies = [("organizations", "0023_attempts_end")]

    operations = [
        migrations.AddField(
            "auditchain",
            "event_bytes",
            models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="Size of all events. Each counts as its texts plus 512 bytes.",
            ),
        ),
        migrations.RunSQL(MOVE_HEAD, MOVE_HEAD_BEFORE),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
