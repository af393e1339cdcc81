"""The triggers that the migrations declare, for core/table_protection.py.

They keep the audit log append-only and move its head, count what organizations store, and keep
times that nothing else enforces. tests/test_catalog.py compares them with a migrated database.
"""

from typing import NamedTuple


class Trigger(NamedTuple):
    table: str
    name: str
    definition: str
    """What follows its name, in PostgreSQL's order."""


TRIGGERS = (
    Trigger(
        "executions_execution",
        "executions_changed_at",
        "BEFORE UPDATE ON executions_execution "
        "FOR EACH ROW EXECUTE FUNCTION executions_keep_changed_at()",
    ),
    Trigger(
        "executions_execution",
        "executions_count_ended_delete",
        "AFTER DELETE ON executions_execution "
        "FOR EACH ROW WHEN (old.status = ANY (ARRAY['finished', 'error', 'cancelled'])) "
        "EXECUTE FUNCTION executions_count_ended()",
    ),
    Trigger(
        "executions_execution",
        "executions_count_ended_insert",
        "AFTER INSERT ON executions_execution "
        "FOR EACH ROW WHEN (new.status = ANY (ARRAY['finished', 'error', 'cancelled'])) "
        "EXECUTE FUNCTION executions_count_ended()",
    ),
    Trigger(
        "executions_execution",
        "executions_count_ended_update",
        "AFTER UPDATE ON executions_execution "
        "FOR EACH ROW "
        "WHEN (old.status = ANY (ARRAY['finished', 'error', 'cancelled']) "
        "OR new.status = ANY (ARRAY['finished', 'error', 'cancelled'])) "
        "EXECUTE FUNCTION executions_count_ended()",
    ),
    Trigger(
        "executions_execution",
        "executions_execution_stored_delete",
        "AFTER DELETE ON executions_execution REFERENCING OLD TABLE AS removed "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_execution_stored_delete()",
    ),
    Trigger(
        "executions_execution",
        "executions_execution_stored_insert",
        "AFTER INSERT ON executions_execution REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_execution_stored_insert()",
    ),
    Trigger(
        "executions_execution",
        "executions_keep_runtime",
        "BEFORE INSERT OR UPDATE ON executions_execution "
        "FOR EACH ROW "
        "WHEN (new.status = ANY (ARRAY['finished', 'error', 'cancelled']) "
        "OR new.runtime_seconds IS NOT NULL) "
        "EXECUTE FUNCTION executions_keep_runtime()",
    ),
    Trigger(
        "executions_execution",
        "executions_move_errors_delete",
        "AFTER DELETE ON executions_execution "
        "FOR EACH ROW EXECUTE FUNCTION executions_move_errors()",
    ),
    Trigger(
        "executions_execution",
        "executions_move_errors_update",
        "AFTER UPDATE ON executions_execution "
        "FOR EACH ROW "
        "WHEN (old.user_id IS DISTINCT FROM new.user_id OR old.agent_name <> new.agent_name) "
        "EXECUTE FUNCTION executions_move_errors()",
    ),
    Trigger(
        "executions_executionerror",
        "executions_count_errors_delete",
        "AFTER DELETE ON executions_executionerror REFERENCING OLD TABLE AS gone "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_count_errors()",
    ),
    Trigger(
        "executions_executionerror",
        "executions_count_errors_insert",
        "AFTER INSERT ON executions_executionerror REFERENCING NEW TABLE AS made "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_count_errors()",
    ),
    Trigger(
        "executions_executionerror",
        "executions_count_errors_update",
        "AFTER UPDATE ON executions_executionerror REFERENCING OLD TABLE AS gone "
        "NEW TABLE AS made "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_count_errors()",
    ),
    Trigger(
        "executions_executionevent",
        "executions_executionevent_stored_delete",
        "AFTER DELETE ON executions_executionevent REFERENCING OLD TABLE AS removed "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_executionevent_stored_delete()",
    ),
    Trigger(
        "executions_executionevent",
        "executions_executionevent_stored_insert",
        "AFTER INSERT ON executions_executionevent REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_executionevent_stored_insert()",
    ),
    Trigger(
        "executions_executionevent",
        "executions_executionevent_stored_update",
        "AFTER UPDATE ON executions_executionevent REFERENCING OLD TABLE AS removed "
        "NEW TABLE AS added FOR EACH STATEMENT "
        "EXECUTE FUNCTION executions_executionevent_stored_update()",
    ),
    Trigger(
        "executions_executionfile",
        "executions_executionfile_stored_delete",
        "AFTER DELETE ON executions_executionfile REFERENCING OLD TABLE AS removed "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_executionfile_stored_delete()",
    ),
    Trigger(
        "executions_executionfile",
        "executions_executionfile_stored_insert",
        "AFTER INSERT ON executions_executionfile REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_executionfile_stored_insert()",
    ),
    Trigger(
        "executions_executionfile",
        "executions_executionfile_stored_update",
        "AFTER UPDATE ON executions_executionfile REFERENCING OLD TABLE AS removed "
        "NEW TABLE AS added FOR EACH STATEMENT "
        "EXECUTE FUNCTION executions_executionfile_stored_update()",
    ),
    Trigger(
        "executions_upload",
        "executions_upload_stored_delete",
        "AFTER DELETE ON executions_upload REFERENCING OLD TABLE AS removed "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_upload_stored_delete()",
    ),
    Trigger(
        "executions_upload",
        "executions_upload_stored_insert",
        "AFTER INSERT ON executions_upload REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION executions_upload_stored_insert()",
    ),
    Trigger(
        "executions_upload",
        "executions_upload_stored_update",
        "AFTER UPDATE ON executions_upload REFERENCING OLD TABLE AS removed "
        "NEW TABLE AS added FOR EACH STATEMENT "
        "EXECUTE FUNCTION executions_upload_stored_update()",
    ),
    Trigger(
        "organizations_auditevent",
        "organizations_auditevent_append_only",
        "BEFORE DELETE OR UPDATE ON organizations_auditevent "
        "FOR EACH ROW EXECUTE FUNCTION organizations_refuse_change()",
    ),
    Trigger(
        "organizations_auditevent",
        "organizations_auditevent_moves_head",
        "AFTER INSERT ON organizations_auditevent REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION organizations_move_audit_head()",
    ),
    Trigger(
        "organizations_auditevent",
        "organizations_auditevent_not_emptied",
        "BEFORE TRUNCATE ON organizations_auditevent "
        "FOR EACH STATEMENT EXECUTE FUNCTION organizations_refuse_change()",
    ),
    Trigger(
        "organizations_organization",
        "organizations_organization_without_active_agents",
        "BEFORE UPDATE OF status ON organizations_organization "
        "FOR EACH ROW WHEN (new.status = 'deleted' AND old.status <> 'deleted') "
        "EXECUTE FUNCTION agents_refuse_organization_deletion()",
    ),
    Trigger(
        "tokens_tokenevent",
        "analytics_count_token_event_again",
        "AFTER UPDATE OF times ON tokens_tokenevent "
        "FOR EACH ROW WHEN (new.times <> old.times) "
        "EXECUTE FUNCTION analytics_count_token_event_again()",
    ),
    Trigger(
        "tokens_tokenevent",
        "analytics_count_token_events",
        "AFTER INSERT ON tokens_tokenevent REFERENCING NEW TABLE AS batch "
        "FOR EACH STATEMENT EXECUTE FUNCTION analytics_count_token_events()",
    ),
)
