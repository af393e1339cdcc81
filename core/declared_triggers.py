"""The triggers that the migrations declare, for core/table_protection.py.

They keep the audit log append-only and move its head, count what organizations store, and keep
times that nothing else enforces. tests/test_catalog.py compares them with a migrated database.
"""

from typing import NamedTuple


class Trigger(NamedTuple):
    table: str
    name: str
    function: str
    events: str
    is_conditional: bool = False


TRIGGERS = (
    Trigger(
        "executions_execution",
        "executions_changed_at",
        "executions_keep_changed_at",
        "BEFORE UPDATE",
    ),
    Trigger(
        "executions_execution",
        "executions_count_ended_delete",
        "executions_count_ended",
        "AFTER DELETE",
        is_conditional=True,
    ),
    Trigger(
        "executions_execution",
        "executions_count_ended_insert",
        "executions_count_ended",
        "AFTER INSERT",
        is_conditional=True,
    ),
    Trigger(
        "executions_execution",
        "executions_count_ended_update",
        "executions_count_ended",
        "AFTER UPDATE",
        is_conditional=True,
    ),
    Trigger(
        "executions_execution",
        "executions_execution_stored_delete",
        "executions_execution_stored_delete",
        "AFTER DELETE",
    ),
    Trigger(
        "executions_execution",
        "executions_execution_stored_insert",
        "executions_execution_stored_insert",
        "AFTER INSERT",
    ),
    Trigger(
        "executions_execution",
        "executions_keep_runtime",
        "executions_keep_runtime",
        "BEFORE INSERT OR UPDATE",
        is_conditional=True,
    ),
    Trigger(
        "executions_execution",
        "executions_move_errors_delete",
        "executions_move_errors",
        "AFTER DELETE",
    ),
    Trigger(
        "executions_execution",
        "executions_move_errors_update",
        "executions_move_errors",
        "AFTER UPDATE",
        is_conditional=True,
    ),
    Trigger(
        "executions_executionerror",
        "executions_count_errors_delete",
        "executions_count_errors",
        "AFTER DELETE",
    ),
    Trigger(
        "executions_executionerror",
        "executions_count_errors_insert",
        "executions_count_errors",
        "AFTER INSERT",
    ),
    Trigger(
        "executions_executionerror",
        "executions_count_errors_update",
        "executions_count_errors",
        "AFTER UPDATE",
    ),
    Trigger(
        "executions_executionevent",
        "executions_executionevent_stored_delete",
        "executions_executionevent_stored_delete",
        "AFTER DELETE",
    ),
    Trigger(
        "executions_executionevent",
        "executions_executionevent_stored_insert",
        "executions_executionevent_stored_insert",
        "AFTER INSERT",
    ),
    Trigger(
        "executions_executionevent",
        "executions_executionevent_stored_update",
        "executions_executionevent_stored_update",
        "AFTER UPDATE",
    ),
    Trigger(
        "executions_executionfile",
        "executions_executionfile_stored_delete",
        "executions_executionfile_stored_delete",
        "AFTER DELETE",
    ),
    Trigger(
        "executions_executionfile",
        "executions_executionfile_stored_insert",
        "executions_executionfile_stored_insert",
        "AFTER INSERT",
    ),
    Trigger(
        "executions_executionfile",
        "executions_executionfile_stored_update",
        "executions_executionfile_stored_update",
        "AFTER UPDATE",
    ),
    Trigger(
        "executions_upload",
        "executions_upload_stored_delete",
        "executions_upload_stored_delete",
        "AFTER DELETE",
    ),
    Trigger(
        "executions_upload",
        "executions_upload_stored_insert",
        "executions_upload_stored_insert",
        "AFTER INSERT",
    ),
    Trigger(
        "executions_upload",
        "executions_upload_stored_update",
        "executions_upload_stored_update",
        "AFTER UPDATE",
    ),
    Trigger(
        "organizations_auditevent",
        "organizations_auditevent_append_only",
        "organizations_refuse_change",
        "BEFORE DELETE OR UPDATE",
    ),
    Trigger(
        "organizations_auditevent",
        "organizations_auditevent_moves_head",
        "organizations_move_audit_head",
        "AFTER INSERT",
    ),
    Trigger(
        "organizations_auditevent",
        "organizations_auditevent_not_emptied",
        "organizations_refuse_change",
        "BEFORE TRUNCATE",
    ),
    Trigger(
        "organizations_organization",
        "organizations_organization_without_active_agents",
        "agents_refuse_organization_deletion",
        "BEFORE UPDATE OF status",
        is_conditional=True,
    ),
    Trigger(
        "tokens_tokenevent",
        "analytics_count_token_event_again",
        "analytics_count_token_event_again",
        "AFTER UPDATE OF times",
        is_conditional=True,
    ),
    Trigger(
        "tokens_tokenevent",
        "analytics_count_token_events",
        "analytics_count_token_events",
        "AFTER INSERT",
    ),
)
