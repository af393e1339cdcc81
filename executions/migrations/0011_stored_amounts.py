"""Count what each organization stores, exactly, in the transaction that stores or deletes it.

Statement triggers write how much was added or removed into a table of changes, whose sum is what
the organization stores. So no writer waits for another one, as all would for a single row of
totals; every so often a row's writer adds up those that no transaction holds.

What is there already is counted here, while the triggers keep writers out.
"""

import django.db.models.deletion
from django.db import migrations, models

from organizations.tenancy.migration_operations import IsolateOrganizations

ADD = """
CREATE FUNCTION executions_add_up_changes(organization uuid) RETURNS void LANGUAGE sql AS $$
    WITH known AS (
        DELETE FROM executions_storedchange WHERE number IN (
            SELECT change.number FROM executions_storedchange change
            WHERE change.organization_id = organization ORDER BY number FOR UPDATE SKIP LOCKED
        )
        RETURNING executions, event_bytes, file_bytes
    )
    INSERT INTO executions_storedchange (organization_id, executions, event_bytes, file_bytes)
    SELECT organization, sum(executions), sum(event_bytes), sum(file_bytes)
    FROM known HAVING count(*) > 0
$$
"""

COUNT_EXECUTION = """
CREATE FUNCTION executions_execution_stored_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, executions)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, count(*) AS more FROM added GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_execution_stored_insert AFTER INSERT ON executions_execution REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_execution_stored_insert();

CREATE FUNCTION executions_execution_stored_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, executions)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, -count(*) AS more FROM removed GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_execution_stored_delete AFTER DELETE ON executions_execution REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_execution_stored_delete();
"""
NO_EXECUTION = """
DROP TRIGGER executions_execution_stored_insert ON executions_execution;
DROP FUNCTION executions_execution_stored_insert();
DROP TRIGGER executions_execution_stored_delete ON executions_execution;
DROP FUNCTION executions_execution_stored_delete();"""

COUNT_EXECUTIONEVENT = """
CREATE FUNCTION executions_executionevent_stored_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, event_bytes)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, sum(octet_length(message) + 128) AS more FROM added GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_executionevent_stored_insert AFTER INSERT ON executions_executionevent REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionevent_stored_insert();

CREATE FUNCTION executions_executionevent_stored_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, event_bytes)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, -sum(octet_length(message) + 128) AS more FROM removed GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_executionevent_stored_delete AFTER DELETE ON executions_executionevent REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionevent_stored_delete();

CREATE FUNCTION executions_executionevent_stored_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, event_bytes)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, sum(octet_length(message) + 128) AS more FROM added GROUP BY 1 UNION ALL SELECT organization_id, -sum(octet_length(message) + 128) AS more FROM removed GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_executionevent_stored_update AFTER UPDATE ON executions_executionevent REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionevent_stored_update();
"""
NO_EXECUTIONEVENT = """
DROP TRIGGER executions_executionevent_stored_insert ON executions_executionevent;
DROP FUNCTION executions_executionevent_stored_insert();
DROP TRIGGER executions_executionevent_stored_delete ON executions_executionevent;
DROP FUNCTION executions_executionevent_stored_delete();
DROP TRIGGER executions_executionevent_stored_update ON executions_executionevent;
DROP FUNCTION executions_executionevent_stored_update();"""

COUNT_EXECUTIONFILE = """
CREATE FUNCTION executions_executionfile_stored_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, file_bytes)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, sum(size + 1024) AS more FROM added GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_executionfile_stored_insert AFTER INSERT ON executions_executionfile REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionfile_stored_insert();

CREATE FUNCTION executions_executionfile_stored_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, file_bytes)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, -sum(size + 1024) AS more FROM removed GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_executionfile_stored_delete AFTER DELETE ON executions_executionfile REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionfile_stored_delete();

CREATE FUNCTION executions_executionfile_stored_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, file_bytes)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, sum(size + 1024) AS more FROM added GROUP BY 1 UNION ALL SELECT organization_id, -sum(size + 1024) AS more FROM removed GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_executionfile_stored_update AFTER UPDATE ON executions_executionfile REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionfile_stored_update();
"""
NO_EXECUTIONFILE = """
DROP TRIGGER executions_executionfile_stored_insert ON executions_executionfile;
DROP FUNCTION executions_executionfile_stored_insert();
DROP TRIGGER executions_executionfile_stored_delete ON executions_executionfile;
DROP FUNCTION executions_executionfile_stored_delete();
DROP TRIGGER executions_executionfile_stored_update ON executions_executionfile;
DROP FUNCTION executions_executionfile_stored_update();"""

COUNT_UPLOAD = """
CREATE FUNCTION executions_upload_stored_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, file_bytes)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, sum(size + 1024) AS more FROM added GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_upload_stored_insert AFTER INSERT ON executions_upload REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_upload_stored_insert();

CREATE FUNCTION executions_upload_stored_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, file_bytes)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, -sum(size + 1024) AS more FROM removed GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_upload_stored_delete AFTER DELETE ON executions_upload REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_upload_stored_delete();

CREATE FUNCTION executions_upload_stored_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, file_bytes)
        SELECT organization_id, sum(more) FROM (SELECT organization_id, sum(size + 1024) AS more FROM added GROUP BY 1 UNION ALL SELECT organization_id, -sum(size + 1024) AS more FROM removed GROUP BY 1) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER executions_upload_stored_update AFTER UPDATE ON executions_upload REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_upload_stored_update();
"""
NO_UPLOAD = """
DROP TRIGGER executions_upload_stored_insert ON executions_upload;
DROP FUNCTION executions_upload_stored_insert();
DROP TRIGGER executions_upload_stored_delete ON executions_upload;
DROP FUNCTION executions_upload_stored_delete();
DROP TRIGGER executions_upload_stored_update ON executions_upload;
DROP FUNCTION executions_upload_stored_update();"""

COUNT = """
DO $$
DECLARE
    organization record;
BEGIN
    FOR organization IN SELECT id FROM organizations_organization LOOP
        PERFORM set_config('app.organization_id', organization.id::text, true);
        INSERT INTO executions_storedchange (organization_id, executions, event_bytes, file_bytes)
        SELECT organization.id, coalesce(sum(executions), 0), coalesce(sum(event_bytes), 0),
            coalesce(sum(file_bytes), 0)
        FROM (
            SELECT count(*)::bigint AS executions, 0::bigint AS event_bytes, 0::bigint AS file_bytes
            FROM executions_execution WHERE organization_id = organization.id
            UNION ALL
            SELECT 0::bigint AS executions, sum(octet_length(message) + 128)::bigint AS event_bytes, 0::bigint AS file_bytes
            FROM executions_executionevent WHERE organization_id = organization.id
            UNION ALL
            SELECT 0::bigint AS executions, 0::bigint AS event_bytes, sum(size + 1024)::bigint AS file_bytes
            FROM executions_executionfile WHERE organization_id = organization.id
            UNION ALL
            SELECT 0::bigint AS executions, 0::bigint AS event_bytes, sum(size + 1024)::bigint AS file_bytes
            FROM executions_upload WHERE organization_id = organization.id
        ) AS found
        HAVING count(*) FILTER (WHERE executions <> 0 OR event_bytes <> 0 OR file_bytes <> 0) > 0;
    END LOOP;
    PERFORM set_config('app.organization_id', '', true);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0010_sent_digests"),
        ("organizations", "0011_storage_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="StoredChange",
            fields=[
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("executions", models.BigIntegerField(db_default=0)),
                ("event_bytes", models.BigIntegerField(db_default=0)),
                ("file_bytes", models.BigIntegerField(db_default=0)),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="organizations.organization",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organization", "number"], name="executions_stored_change")
                ],
            },
        ),
        IsolateOrganizations("StoredChange", has_id=False),
        migrations.RunSQL(ADD, "DROP FUNCTION executions_add_up_changes(uuid)"),
        migrations.RunSQL(COUNT_EXECUTION, NO_EXECUTION),
        migrations.RunSQL(COUNT_EXECUTIONEVENT, NO_EXECUTIONEVENT),
        migrations.RunSQL(COUNT_EXECUTIONFILE, NO_EXECUTIONFILE),
        migrations.RunSQL(COUNT_UPLOAD, NO_UPLOAD),
        migrations.RunSQL(COUNT, migrations.RunSQL.noop),
    ]
