-- Audit events that a statement inserts move the head of their log, or are refused.
CREATE OR REPLACE TRIGGER organizations_auditevent_moves_head
    AFTER INSERT ON organizations_auditevent
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION organizations_move_audit_head();
