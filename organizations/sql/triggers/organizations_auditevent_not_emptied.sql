-- The table of audit events is not emptied.
CREATE OR REPLACE TRIGGER organizations_auditevent_not_emptied
    BEFORE TRUNCATE ON organizations_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION organizations_refuse_change();
