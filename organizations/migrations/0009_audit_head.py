"""The head of an audit log is moved by the database itself, as the owner of the tables.

The application's role may read events and insert them, and may not touch the head. An event that
does not follow the head is refused, so a forged one can neither hide nor stop the log.
"""

from django.db import migrations

LOCK = """
CREATE FUNCTION organizations_lock_audit_head(
    organization uuid, OUT sequence bigint, OUT hash bytea
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT head.sequence, head.hash INTO sequence, hash FROM organizations_auditchain head
    WHERE head.organization_id = organization FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO organizations_auditchain (organization_id, sequence, hash)
        VALUES (organization, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
        SELECT head.sequence, head.hash INTO sequence, hash FROM organizations_auditchain head
        WHERE head.organization_id = organization FOR UPDATE;
    END IF;
END $$
"""

MOVE = """
CREATE FUNCTION organizations_move_audit_head() RETURNS trigger
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
CREATE TRIGGER organizations_auditevent_moves_head
    AFTER INSERT ON organizations_auditevent REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION organizations_move_audit_head();
CREATE TRIGGER organizations_auditevent_not_emptied
    BEFORE TRUNCATE ON organizations_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION organizations_refuse_change()
"""

MOVE_UNDONE = """
DROP TRIGGER organizations_auditevent_not_emptied ON organizations_auditevent;
DROP TRIGGER organizations_auditevent_moves_head ON organizations_auditevent;
DROP FUNCTION organizations_move_audit_head()
"""


class Migration(migrations.Migration):
    dependencies = [("organizations", "0008_failures")]

    operations = [
        migrations.RunSQL(LOCK, "DROP FUNCTION organizations_lock_audit_head(uuid)"),
        migrations.RunSQL(MOVE, MOVE_UNDONE),
    ]
