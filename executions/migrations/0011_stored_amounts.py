"""Count what each organization stores, exactly, in the transaction that stores or deletes it.

Statement triggers write how much was added or removed into a table of changes, whose sum is what
the organization stores. So no writer waits for another one, as all would for a single row of
totals; every so often a row's writer adds up those that no transaction holds.

What is there already is counted here, while the triggers keep writers out.
"""

import django.db.models.deletion
from django.db import migrations, models

from organizations.tenancy.migration_operations import IsolateOrganizations

EVENTS = "sum(octet_length(message) + 128)"
FILES = "sum(size + 1024)"
COUNTED = {
    "executions_execution": ("executions", "count(*)", ("INSERT", "DELETE")),
    "executions_executionevent": ("event_bytes", EVENTS, ("INSERT", "DELETE", "UPDATE")),
    "executions_executionfile": ("file_bytes", FILES, ("INSERT", "DELETE", "UPDATE")),
    "executions_upload": ("file_bytes", FILES, ("INSERT", "DELETE", "UPDATE")),
}
"""Of each table the amount that its rows count in, how much they are, and what changes it."""
COLUMNS = ("executions", "event_bytes", "file_bytes")

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


def counting(table: str) -> str:
    """A function and a trigger for each kind of statement."""
    column, amount, kinds = COUNTED[table]
    return "".join(_counting(table, column, amount, kind) for kind in kinds)


def _counting(table: str, column: str, amount: str, kind: str) -> str:
    name = f"{table}_stored_{kind.lower()}"
    added = f"SELECT organization_id, {amount} AS more FROM added GROUP BY 1"  # noqa: S608
    removed = f"SELECT organization_id, -{amount} AS more FROM removed GROUP BY 1"  # noqa: S608
    known = {"INSERT": added, "DELETE": removed, "UPDATE": f"{added} UNION ALL {removed}"}[kind]
    tables = {
        "INSERT": "NEW TABLE AS added",
        "DELETE": "OLD TABLE AS removed",
        "UPDATE": "NEW TABLE AS added OLD TABLE AS removed",
    }[kind]
    return f"""
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, {column})
        SELECT organization_id, sum(more) FROM ({known}) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER {name} AFTER {kind} ON {table} REFERENCING {tables}
    FOR EACH STATEMENT EXECUTE FUNCTION {name}();
"""  # noqa: S608 - our own names


def not_counting(table: str) -> str:
    names = [f"{table}_stored_{kind.lower()}" for kind in COUNTED[table][2]]
    return "".join(f"DROP TRIGGER {n} ON {table}; DROP FUNCTION {n}();" for n in names)


def _sum(table: str) -> str:
    column, amount, _ = COUNTED[table]
    amounts = (f"{amount if column == each else 0}::bigint AS {each}" for each in COLUMNS)
    return f"SELECT {', '.join(amounts)} FROM {table} WHERE organization_id = organization.id"  # noqa: S608


COUNT = f"""
DO $$
DECLARE
    organization record;
BEGIN
    FOR organization IN SELECT id FROM organizations_organization LOOP
        PERFORM set_config('app.organization_id', organization.id::text, true);
        INSERT INTO executions_storedchange (organization_id, executions, event_bytes, file_bytes)
        SELECT organization.id, coalesce(sum(executions), 0), coalesce(sum(event_bytes), 0),
            coalesce(sum(file_bytes), 0)
        FROM ({" UNION ALL ".join(map(_sum, COUNTED))}) AS found
        HAVING count(*) FILTER (WHERE executions <> 0 OR event_bytes <> 0 OR file_bytes <> 0) > 0;
    END LOOP;
    PERFORM set_config('app.organization_id', '', true);
END $$
"""  # noqa: S608 - our own names


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
        *(migrations.RunSQL(counting(table), not_counting(table)) for table in COUNTED),
        migrations.RunSQL(COUNT, migrations.RunSQL.noop),
    ]
