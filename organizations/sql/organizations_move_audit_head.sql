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
