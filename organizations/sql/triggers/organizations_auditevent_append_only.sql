-- No audit event is changed or deleted.
CREATE OR REPLACE TRIGGER organizations_auditevent_append_only
    BEFORE DELETE OR UPDATE ON organizations_auditevent
    FOR EACH ROW EXECUTE FUNCTION organizations_refuse_change();
