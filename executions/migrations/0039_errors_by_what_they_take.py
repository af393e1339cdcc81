"""Count an error by what it takes.

Besides its event, an error is a row in the list of errors and a change of the counts of its group,
which become up to six counts: together twelve times what was counted of a short one.
"""

from typing import Any

from django.db import migrations

from core.migration_locks import lock_together

INSERT = """
-- How much a statement that inserts events of executions changes `event_bytes`, which their
-- organization stores. Each counts the bytes of its message and 128 more, an error
-- 2048. Trigger of the same name.
CREATE OR REPLACE FUNCTION executions_executionevent_stored_insert() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, event_bytes)
        SELECT organization_id, sum(more)
        FROM (
            SELECT organization_id, sum(
                octet_length(message) + CASE kind WHEN 'error' THEN 2048 ELSE 128 END
            ) AS more FROM added GROUP BY 1
        ) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
"""
UPDATE = """
-- How much a statement that changes events of executions changes `event_bytes`, which their
-- organization stores. Each counts the bytes of its message and 128 more, an error
-- 2048. Trigger of the same name.
CREATE OR REPLACE FUNCTION executions_executionevent_stored_update() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, event_bytes)
        SELECT organization_id, sum(more)
        FROM (
            SELECT organization_id, sum(
                octet_length(message) + CASE kind WHEN 'error' THEN 2048 ELSE 128 END
            ) AS more FROM added GROUP BY 1
            UNION ALL
            SELECT organization_id, -sum(
                octet_length(message) + CASE kind WHEN 'error' THEN 2048 ELSE 128 END
            ) AS more FROM removed GROUP BY 1
        ) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
"""
DELETE = """
-- How much a statement that deletes events of executions changes `event_bytes`, which their
-- organization stores. Each counts the bytes of its message and 128 more, an error
-- 2048. Trigger of the same name.
CREATE OR REPLACE FUNCTION executions_executionevent_stored_delete() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, event_bytes)
        SELECT organization_id, sum(more)
        FROM (
            SELECT organization_id, -sum(
                octet_length(message) + CASE kind WHEN 'error' THEN 2048 ELSE 128 END
            ) AS more FROM removed GROUP BY 1
        ) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
"""

# By as much the errors that are there change what is counted, while the lock keeps writers out. An
# error whose event is deleted already, in an unfinished deletion, no longer counts.
COUNT = """
DO $$
DECLARE
    organization record;
BEGIN
    FOR organization IN SELECT id FROM organizations_organization LOOP
        PERFORM set_config('app.organization_id', organization.id::text, true);
        INSERT INTO executions_storedchange (organization_id, event_bytes)
        SELECT organization.id, {more} * count(*)
        FROM executions_executionerror error JOIN executions_executionevent event
            ON event.organization_id = error.organization_id
            AND event.execution_id = error.execution_id AND event.sequence = error.sequence
        WHERE error.organization_id = organization.id AND event.kind = 'error'
        HAVING count(*) > 0;
    END LOOP;
    PERFORM set_config('app.organization_id', '', true);
END $$
"""
MORE = 2048 - 128
AS_ERROR, AS_EVENT = "CASE kind WHEN 'error' THEN 2048 ELSE 128 END", "128"


def lock(apps: Any, editor: Any) -> None:
    lock_together(editor.connection, against_writers=("executions_executionevent",))


class Migration(migrations.Migration):
    dependencies = [("executions", "0038_add_up_some")]

    operations = [
        migrations.RunPython(lock, lock),
        migrations.RunSQL(
            [INSERT, UPDATE, DELETE],
            [each.replace(AS_ERROR, AS_EVENT) for each in (INSERT, UPDATE, DELETE)],
        ),
        migrations.RunSQL(COUNT.format(more=MORE), COUNT.format(more=-MORE)),
        migrations.RunPython(migrations.RunPython.noop, lock),
    ]
