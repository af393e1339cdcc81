"""Row-level security, policies and triggers stay as declared: what differs stops the start, and the
next `migrate` restores it.
"""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from psycopg import errors

from agentidp.checks import refuse_unsafe_start
from core.table_protection import in_one_line, undeclared_triggers, unprotected


def test_an_open_table_is_told_at_the_start_and_closed_by_the_next_migrate(owner: Any) -> None:
    owner.execute("CREATE TABLE newer (organization_id uuid)")
    owner.execute("ALTER TABLE agents_agent NO FORCE ROW LEVEL SECURITY")
    owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON newer TO agentidp_app")
    try:
        with pytest.raises(ImproperlyConfigured) as refusal:
            refuse_unsafe_start()
        call_command("migrate", verbosity=0)
        refuse_unsafe_start()
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            owner.execute("INSERT INTO newer SELECT gen_random_uuid()")
    finally:
        owner.execute("DROP TABLE newer")
        owner.execute("ALTER TABLE agents_agent FORCE ROW LEVEL SECURITY")

    assert str(refusal.value) == (
        "The table agents_agent shows every organization's rows (3 such problems). "
        "Run: python manage.py migrate"
    )


HARM = {
    "ALTER TABLE agents_agent DISABLE ROW LEVEL SECURITY": (
        "The table agents_agent shows every organization's rows. "
    ),
    "CREATE POLICY everything ON agents_agent USING (true)": (
        "The table agents_agent has a policy everything, which is not declared. "
    ),
    "ALTER POLICY organization_isolation ON agents_agent USING (true)": (
        "The table agents_agent has another policy organization_isolation than declared. "
    ),
    "ALTER POLICY organization_isolation ON agents_agent WITH CHECK (true)": (
        "The table agents_agent has another policy organization_isolation than declared. "
    ),
    "DROP POLICY organization_isolation ON agents_agent": (
        "The table agents_agent has no policy organization_isolation. "
    ),
    "ALTER POLICY entered_organizations ON agents_agent USING (true)": (
        "The table agents_agent has another policy entered_organizations than declared. "
    ),
    "ALTER POLICY entered_organizations ON agents_agent TO PUBLIC": (
        "The table agents_agent has no policy entered_organizations for its owner. "
    ),
    "ALTER TABLE organizations_auditevent DISABLE TRIGGER USER": (
        "The trigger organizations_auditevent_append_only of the table organizations_auditevent is "
        "switched off (3 such problems). "
    ),
    "ALTER TABLE tokens_tokenevent ENABLE REPLICA TRIGGER analytics_count_token_events": (
        "The trigger analytics_count_token_events of the table tokens_tokenevent is switched off. "
    ),
    "ALTER TABLE tokens_tokenevent_default NO FORCE ROW LEVEL SECURITY": (
        "The table tokens_tokenevent_default shows every organization's rows. "
    ),
    "DROP POLICY organization_isolation ON executions_executionevent_default": (
        "The table executions_executionevent_default has no policy organization_isolation. "
    ),
    "ALTER TABLE tokens_tokenevent_default DISABLE TRIGGER USER": (
        "The trigger analytics_count_token_event_again of the table tokens_tokenevent_default is "
        "switched off. "
    ),
}
"""What somebody with the owner's rights, or a backup, may do, and what the start says."""


@pytest.mark.parametrize("statement", HARM)
def test_missing_protection_is_told_and_restored_by_the_next_migrate(
    owner: Any, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    owner.execute(statement)
    try:
        with pytest.raises(ImproperlyConfigured) as refusal:
            refuse_unsafe_start()
    finally:
        call_command("migrate", verbosity=0)

    assert str(refusal.value) == f"{HARM[statement]}Run: python manage.py migrate"
    with connection.cursor() as cursor:
        assert unprotected(cursor) == []
    refuse_unsafe_start()
    if "TO PUBLIC" not in statement:
        assert "Mended: The t" in capsys.readouterr().err


INSERTED = "CREATE TRIGGER organizations_auditevent_moves_head AFTER INSERT"
SOMEBODYS = "EXECUTE FUNCTION procrastinate_unlink_periodic_defers_v1()"
CANNOT_BE_MENDED = {
    "DROP TRIGGER organizations_auditevent_moves_head ON organizations_auditevent": (
        "The table organizations_auditevent has no trigger organizations_auditevent_moves_head"
    ),
    "DROP TRIGGER organizations_auditevent_moves_head ON organizations_auditevent; "
    f"{INSERTED} ON organizations_auditevent FOR EACH ROW WHEN (false) "
    "EXECUTE FUNCTION organizations_move_audit_head()": (
        "The table organizations_auditevent has another trigger organizations_auditevent_moves_head"
        " than declared"
    ),
    "DROP TRIGGER executions_count_ended_delete ON executions_execution; "
    "CREATE TRIGGER executions_count_ended_delete AFTER DELETE ON executions_execution "
    "FOR EACH ROW WHEN (old.status IN ('finished', 'error')) "
    "EXECUTE FUNCTION executions_count_ended()": (
        "The table executions_execution has another trigger executions_count_ended_delete than "
        "declared"
    ),
    "DROP TRIGGER analytics_count_token_event_again ON tokens_tokenevent; "
    "CREATE TRIGGER analytics_count_token_event_again AFTER UPDATE OF times ON tokens_tokenevent "
    "FOR EACH ROW WHEN (old.times <> old.times) "
    "EXECUTE FUNCTION analytics_count_token_event_again()": (
        "The table tokens_tokenevent has another trigger analytics_count_token_event_again than "
        "declared"
    ),
    "CREATE RULE nothing AS ON UPDATE TO organizations_user DO INSTEAD NOTHING": (
        "The table organizations_user has a rule, which changes what statements do"
    ),
    "CREATE RULE nothing AS ON INSERT TO organizations_auditevent DO INSTEAD NOTHING": (
        "The table organizations_auditevent has a rule, which changes what statements do"
    ),
}


@pytest.mark.parametrize("statement", CANNOT_BE_MENDED)
def test_missing_protection_that_migrate_cannot_restore_is_told(owner: Any, statement: str) -> None:
    with owner.transaction(force_rollback=True), owner.cursor() as cursor:
        cursor.execute(statement)
        problems = unprotected(cursor)

    assert [(each.sentence, each.mend) for each in problems] == [(CANNOT_BE_MENDED[statement], ())]
    assert in_one_line(problems).endswith(". Let a database administrator undo that.")


UNDECLARED = {
    f"CREATE TRIGGER mine BEFORE INSERT ON organizations_user FOR EACH ROW {SOMEBODYS}": (
        "The table organizations_user has a trigger mine, which is not declared"
    ),
    f"CREATE TRIGGER mine BEFORE INSERT ON tokens_tokenevent FOR EACH ROW {SOMEBODYS}": (
        "The table tokens_tokenevent has a trigger mine, which is not declared"
    ),
    f'CREATE TRIGGER "a ""b" AFTER INSERT ON tokens_tokenevent_default {SOMEBODYS}': (
        'The table tokens_tokenevent_default has a trigger a "b, which is not declared'
    ),
    "CREATE CONSTRAINT TRIGGER mine AFTER INSERT ON organizations_auditevent DEFERRABLE "
    f"FOR EACH ROW {SOMEBODYS}": (
        "The table organizations_auditevent has a trigger mine, which is not declared"
    ),
    "ALTER TABLE procrastinate_jobs DISABLE TRIGGER procrastinate_trigger_delete_jobs_v1": (
        "The trigger procrastinate_trigger_delete_jobs_v1 of the table procrastinate_jobs is "
        "switched off"
    ),
}


@pytest.mark.parametrize("statement", UNDECLARED)
def test_a_trigger_that_is_not_declared_is_told_and_mended(owner: Any, statement: str) -> None:
    with owner.transaction(force_rollback=True), owner.cursor() as cursor:
        cursor.execute(statement)
        meanwhile, problems = unprotected(cursor), undeclared_triggers(cursor)
        for each in problems:
            cursor.execute(each.mend[0])
        after = undeclared_triggers(cursor)

    assert meanwhile == [], "a newer release may add triggers while this one runs"
    assert [each.sentence for each in problems] == [UNDECLARED[statement]]
    assert after == []


def test_a_trigger_that_is_not_declared_stops_the_start_and_migrate_drops_it(
    owner: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    statement, sentence = next(iter(UNDECLARED.items()))
    owner.execute(statement)
    try:
        with pytest.raises(ImproperlyConfigured) as refusal:
            refuse_unsafe_start()
    finally:
        call_command("migrate", verbosity=0)

    assert str(refusal.value) == f"{sentence}. Run: python manage.py migrate"
    assert f"Mended: {sentence}." in capsys.readouterr().err
    refuse_unsafe_start()


def test_a_changed_trigger_of_a_package_is_told(owner: Any) -> None:
    with owner.transaction(force_rollback=True), owner.cursor() as cursor:
        cursor.execute(
            "DROP TRIGGER procrastinate_trigger_delete_jobs_v1 ON procrastinate_jobs; "
            "CREATE TRIGGER procrastinate_trigger_delete_jobs_v1 BEFORE DELETE ON "
            f"procrastinate_jobs FOR EACH ROW WHEN (old.status = 'doing') {SOMEBODYS}"
        )
        [problem] = undeclared_triggers(cursor)

    assert problem.mend == ()
    assert problem.sentence == (
        "The table procrastinate_jobs has another trigger procrastinate_trigger_delete_jobs_v1 "
        "than its package"
    )
