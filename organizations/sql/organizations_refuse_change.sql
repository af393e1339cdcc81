-- The audit log is append-only: no event is changed, deleted or emptied away. Triggers
-- organizations_auditevent_append_only and organizations_auditevent_not_emptied.
CREATE OR REPLACE FUNCTION organizations_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit log is append-only.' USING ERRCODE = 'insufficient_privilege';
END $$;
