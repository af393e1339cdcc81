"""Token events are partitioned by month (UTC).

The table as it was becomes the first partition, with all that it holds, up to the end of this
month. Nothing is copied. What takes long happens beside traffic: the index of the new key, and the
check that no row is of a later month. Then all locks are held for some milliseconds. Each step can
be repeated after an interruption.
"""

# ruff: noqa: S608 - no user input

from django.db import migrations, transaction

from core.migration_locks import lock_together

TABLE = "tokens_tokenevent"
REFERENCED = ("organizations_organization", "agents_agent", "tokens_credential")
"""Whose triggers for its foreign keys are replaced."""
INDEXES = {
    "tokens_event_time": "(organization_id, created_at)",
    "tokens_event_agent": "(organization_id, agent_id, created_at)",
}
LIKE = "LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE"
OWN = "organization_id = NULLIF(current_setting('app.organization_id', true), '')::uuid"
ENTERED = (
    "organization_id = ANY ((SELECT NULLIF(current_setting('app.organization_ids', true), '')"
    "::uuid[])::uuid[])"
)
# Tomorrow's month has begun for a server whose clock is a little ahead, or when this has ended.
END = """
    SELECT to_char(
        date_trunc('month', (now() + interval '1 day') AT TIME ZONE 'UTC') + interval '1 month',
        'YYYY-MM-DD'
    )
"""
TRIGGERS = f"""
    SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
    WHERE tgrelid = '{TABLE}'::regclass AND NOT tgisinternal ORDER BY tgname
"""
# They take a row of the table, as it is now.
FUNCTIONS = f"""
    SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid)
    FROM pg_proc p JOIN pg_type t ON t.oid = ANY (p.proargtypes)
    WHERE t.typrelid = '{TABLE}'::regclass ORDER BY 1
"""
REFERENCES = f"""
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = '{TABLE}'::regclass AND contype = 'f' ORDER BY conname
"""
HAS_OWNERS_POLICY = f"""
    SELECT EXISTS (SELECT FROM pg_policies
                   WHERE tablename = '{TABLE}' AND policyname = 'entered_organizations')
"""


def partition(apps, schema_editor):
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        if kind_of(cursor) == "p":
            return
        cursor.execute("DROP INDEX CONCURRENTLY IF EXISTS tokens_tokenevent_key")
        cursor.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY tokens_tokenevent_key "
            f"ON {TABLE} (organization_id, id, created_at)"
        )
        cursor.execute(END)
        end = f"{cursor.fetchone()[0]} 00:00:00+00"
        # Only a server whose clock is more than a day ahead could insert such a row now.
        with transaction.atomic(using=connection.alias):
            lock_together(connection, TABLE)
            cursor.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT IF EXISTS tokens_tokenevent_end")
            cursor.execute(
                f"ALTER TABLE {TABLE} ADD CONSTRAINT tokens_tokenevent_end "
                f"CHECK (created_at < '{end}') NOT VALID"
            )
        cursor.execute(
            f"DO $$BEGIN ALTER TABLE {TABLE} VALIDATE CONSTRAINT tokens_tokenevent_end; "
            "EXCEPTION WHEN check_violation THEN NULL; END$$"
        )
        with transaction.atomic(using=connection.alias):
            lock_together(connection, *REFERENCED, TABLE)
            become_partition(cursor, end)


def become_partition(cursor, end):
    first = f"{TABLE}_before_{end[:7].replace('-', '_')}"
    taken = take_off(cursor)
    cursor.execute(f"ALTER TABLE {TABLE} RENAME TO {first}")
    for name in INDEXES:
        cursor.execute(f"ALTER INDEX {name} RENAME TO {name.replace('tokens_event', first)}")
    cursor.execute(
        f"ALTER TABLE {first} DROP CONSTRAINT tokens_tokenevent_pkey, "
        "DROP CONSTRAINT tokens_tokenevent_organization_key"
    )
    cursor.execute(
        f"ALTER TABLE {first} ADD CONSTRAINT {first}_pkey "
        "PRIMARY KEY USING INDEX tokens_tokenevent_key"
    )
    cursor.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'tokens_tokenevent_end'")
    (has_no_later_row,) = cursor.fetchone()
    if not has_no_later_row:
        cursor.execute(f"ALTER TABLE {first} DROP CONSTRAINT tokens_tokenevent_end")
    cursor.execute(f"CREATE TABLE {TABLE} ({LIKE.format(first)}) PARTITION BY RANGE (created_at)")
    cursor.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT IF EXISTS tokens_tokenevent_end")
    cursor.execute(f"CREATE TABLE {TABLE}_default ({LIKE.format(TABLE)})")
    isolate(cursor, TABLE)
    isolate(cursor, f"{TABLE}_default")
    if not has_no_later_row:
        cursor.execute(f"ALTER TABLE {first} NO FORCE ROW LEVEL SECURITY")
        cursor.execute(f"ALTER TABLE {TABLE}_default NO FORCE ROW LEVEL SECURITY")
        cursor.execute(
            f"WITH moved AS (DELETE FROM {first} WHERE created_at >= '{end}' RETURNING *) "
            f"INSERT INTO {TABLE}_default SELECT * FROM moved"
        )
        cursor.execute(f"ALTER TABLE {first} FORCE ROW LEVEL SECURITY")
        cursor.execute(f"ALTER TABLE {TABLE}_default FORCE ROW LEVEL SECURITY")
    cursor.execute(
        f"ALTER TABLE {TABLE} ADD CONSTRAINT tokens_tokenevent_pkey "
        "PRIMARY KEY (organization_id, id, created_at)"
    )
    put_on(cursor, taken)
    cursor.execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {TABLE}_default DEFAULT")
    cursor.execute(
        f"ALTER TABLE {TABLE} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ('{end}')"
    )
    cursor.execute(f"ALTER TABLE {first} DROP CONSTRAINT IF EXISTS tokens_tokenevent_end")
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
        cursor.execute(
            f"ALTER TABLE {TABLE} ADD CONSTRAINT tokens_tokenevent_pkey PRIMARY KEY (id), "
            "ADD CONSTRAINT tokens_tokenevent_organization_key UNIQUE (organization_id, id)"
        )
        put_on(cursor, taken)


def kind_of(cursor):
    cursor.execute("SELECT relkind::text FROM pg_class WHERE oid = %s::regclass", [TABLE])
    return cursor.fetchone()[0]


def take_off(cursor):
    """Remove what bears the name of the table, and return the statements that make it again."""
    functions, triggers = fetch(cursor, FUNCTIONS), fetch(cursor, TRIGGERS)
    references = fetch(cursor, REFERENCES)
    cursor.execute(HAS_OWNERS_POLICY)
    (has_owners_policy,) = cursor.fetchone()
    for name, _ in triggers:
        cursor.execute(f"DROP TRIGGER {name} ON {TABLE}")
    for signature, _ in functions:
        cursor.execute(f"DROP FUNCTION {signature}")
    again = [f"CREATE INDEX {name} ON {TABLE} {columns}" for name, columns in INDEXES.items()]
    again += [f'ALTER TABLE {TABLE} ADD CONSTRAINT "{name}" {text}' for name, text in references]
    if has_owners_policy:  # else `migrate` creates it at its end
        cursor.execute(f"DROP POLICY entered_organizations ON {TABLE}")
        again.append(
            f"CREATE POLICY entered_organizations ON {TABLE} TO CURRENT_USER USING ({ENTERED})"
        )
    return [*again, *(text for _, text in functions + triggers)]


def isolate(cursor, table):
    cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    cursor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    cursor.execute(
        f"CREATE POLICY organization_isolation ON {table} USING ({OWN}) WITH CHECK ({OWN})"
    )


def put_on(cursor, statements):
    for statement in statements:
        cursor.execute(statement)


def fetch(cursor, query):
    cursor.execute(query)
    return cursor.fetchall()


class Migration(migrations.Migration):
    atomic = False  # the index is created CONCURRENTLY
    dependencies = [
        ("tokens", "0030_has_secret"),
        ("organizations", "0022_partitions"),
        # Whose triggers move with the table.
        ("analytics", "0005_count_times"),
    ]

    operations = [migrations.RunPython(partition, become_one_table)]
