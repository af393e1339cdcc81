"""Events of executions are partitioned by the month (UTC) in which their execution was made.

An execution's id begins with that time, so all events of an execution are in one partition, and
whoever names an execution finds it.

The table as it was becomes the first partition, with all that it holds, up to the end of this
month. Nothing is copied. What takes long happens beside traffic: the check that no row is of an
execution of a later month. Then all locks are held for some milliseconds. Each step can be repeated
after an interruption.
"""

# ruff: noqa: S608 - no user input

from django.db import migrations, transaction

from core.migration_locks import lock_together

TABLE = "executions_executionevent"
LIKE = "LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE"
OWN = "organization_id = NULLIF(current_setting('app.organization_id', true), '')::uuid"
# Tomorrow's month has begun for a server whose clock is a little ahead, or when this has ended.
END = """
    SELECT to_char(month, 'YYYY_MM'), organizations_first_id(month AT TIME ZONE 'UTC')::text
    FROM (
        SELECT date_trunc('month', (now() + interval '1 day') AT TIME ZONE 'UTC')
               + interval '1 month' AS month
    ) following
"""
TRIGGERS = f"""
    SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
    WHERE tgrelid = '{TABLE}'::regclass AND NOT tgisinternal ORDER BY tgname
"""
REFERENCES = f"""
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = '{TABLE}'::regclass AND contype = 'f' ORDER BY conname
"""
IS_VALIDATED = "SELECT convalidated FROM pg_constraint WHERE conname = 'executions_event_end'"


def partition(apps, schema_editor):
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        if kind_of(cursor) == "p":
            return
        cursor.execute(END)
        month, end = cursor.fetchone()
        # Only a server whose clock is more than a day ahead could insert such a row now.
        with transaction.atomic(using=connection.alias):
            lock_together(connection, TABLE)
            cursor.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT IF EXISTS executions_event_end")
            cursor.execute(
                f"ALTER TABLE {TABLE} ADD CONSTRAINT executions_event_end "
                f"CHECK (execution_id < '{end}') NOT VALID"
            )
        cursor.execute(
            f"DO $$BEGIN ALTER TABLE {TABLE} VALIDATE CONSTRAINT executions_event_end; "
            "EXCEPTION WHEN check_violation THEN NULL; END$$"
        )
        with transaction.atomic(using=connection.alias):
            lock_together(connection, "organizations_organization", TABLE)
            become_partition(cursor, f"{TABLE}_before_{month}", end)


def become_partition(cursor, first, end):
    taken = take_off(cursor)
    cursor.execute(f"ALTER TABLE {TABLE} RENAME TO {first}")
    cursor.execute(f"ALTER TABLE {first} RENAME CONSTRAINT {TABLE}_pkey TO {first}_pkey")
    cursor.execute(IS_VALIDATED)
    (has_no_later_row,) = cursor.fetchone()
    if not has_no_later_row:
        cursor.execute(f"ALTER TABLE {first} DROP CONSTRAINT executions_event_end")
    cursor.execute(f"CREATE TABLE {TABLE} ({LIKE.format(first)}) PARTITION BY RANGE (execution_id)")
    cursor.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT IF EXISTS executions_event_end")
    cursor.execute(f"CREATE TABLE {TABLE}_default ({LIKE.format(TABLE)})")
    isolate(cursor, TABLE)
    isolate(cursor, f"{TABLE}_default")
    if not has_no_later_row:
        cursor.execute(f"ALTER TABLE {first} NO FORCE ROW LEVEL SECURITY")
        cursor.execute(f"ALTER TABLE {TABLE}_default NO FORCE ROW LEVEL SECURITY")
        cursor.execute(
            f"WITH moved AS (DELETE FROM {first} WHERE execution_id >= '{end}' RETURNING *) "
            f"INSERT INTO {TABLE}_default SELECT * FROM moved"
        )
        cursor.execute(f"ALTER TABLE {first} FORCE ROW LEVEL SECURITY")
        cursor.execute(f"ALTER TABLE {TABLE}_default FORCE ROW LEVEL SECURITY")
    add_key(cursor)
    put_on(cursor, taken)
    cursor.execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {TABLE}_default DEFAULT")
    cursor.execute(
        f"ALTER TABLE {TABLE} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ('{end}')"
    )
    cursor.execute(f"ALTER TABLE {first} DROP CONSTRAINT IF EXISTS executions_event_end")
    cursor.execute("SELECT organizations_make_partitions()")


def become_one_table(apps, schema_editor):
    """Copy all rows into one table again, while nobody else reads or writes them."""
    connection = schema_editor.connection
    plain = f"{TABLE}_plain"
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if kind_of(cursor) != "p":
            return
        cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        taken = take_off(cursor)
        cursor.execute(f"CREATE TABLE {plain} ({LIKE.format(TABLE)})")
        cursor.execute(f"ALTER TABLE {TABLE} NO FORCE ROW LEVEL SECURITY")
        cursor.execute(f"INSERT INTO {plain} SELECT * FROM {TABLE}")
        cursor.execute(f"DROP TABLE {TABLE}")
        cursor.execute(f"ALTER TABLE {plain} RENAME TO {TABLE}")
        isolate(cursor, TABLE)
        add_key(cursor)
        put_on(cursor, taken)


def kind_of(cursor):
    cursor.execute("SELECT relkind::text FROM pg_class WHERE oid = %s::regclass", [TABLE])
    return cursor.fetchone()[0]


def take_off(cursor):
    """Remove what bears the name of the table, and return the statements that make it again."""
    triggers, references = fetch(cursor, TRIGGERS), fetch(cursor, REFERENCES)
    for name, _ in triggers:
        cursor.execute(f"DROP TRIGGER {name} ON {TABLE}")
    again = [f'ALTER TABLE {TABLE} ADD CONSTRAINT "{name}" {text}' for name, text in references]
    return [*again, *(text for _, text in triggers)]


def isolate(cursor, table):
    cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    cursor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    cursor.execute(
        f"CREATE POLICY organization_isolation ON {table} USING ({OWN}) WITH CHECK ({OWN})"
    )


def add_key(cursor):
    cursor.execute(
        f"ALTER TABLE {TABLE} ADD CONSTRAINT {TABLE}_pkey "
        "PRIMARY KEY (organization_id, execution_id, sequence)"
    )


def put_on(cursor, statements):
    for statement in statements:
        cursor.execute(statement)


def fetch(cursor, query):
    cursor.execute(query)
    return cursor.fetchall()


class Migration(migrations.Migration):
    atomic = False  # rows are checked beside traffic
    dependencies = [
        ("executions", "0030_in_time_before"),
        ("organizations", "0022_partitions"),
    ]

    operations = [migrations.RunPython(partition, become_one_table)]
