-- The last sequence number and hash of an organization's audit log, locked until the transaction
-- ends; begins the log where there is none. Runs as the owner: nobody else may touch the head.
CREATE OR REPLACE FUNCTION organizations_lock_audit_head(
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
END $$;
