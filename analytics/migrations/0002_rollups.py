"""Keep the rollups exact in the transaction of every token event.

A statement trigger with a transition table: a row trigger deadlocks between batches
(performance.md 9). A single event, which is every token request, takes the short way without
grouping. Everyone takes row locks in the same order: hours, quarters, agents' days, agents' months,
each sorted, so two batches of one statement each cannot deadlock.

The shared advisory lock lets a rebuild keep one organization's writers out and nobody else's.

Token events are never updated. Deleting old ones (retention) leaves the rollups as they are: they
are the long memory, and `rebuild_rollups` must then not be told to start before what is left.
"""

from django.db import migrations

from organizations.tenancy.migration_operations import IsolateOrganizations

COUNTS = "issued, refused, introspected, revoked"
ADDED = """
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked"""
NEWEST = ",\n            last_at = greatest(known.last_at, excluded.last_at)"
NOBODY = "'00000000-0000-0000-0000-000000000000'"

# table, its key, the key's values on a row, whether it keeps the newest event's time
ROLLUPS = (
    (
        "analytics_hourusage",
        "organization_id, hour",
        "{row}.organization_id, floor(date_part('epoch', {row}.created_at) / 3600)::integer",
        False,
    ),
    (
        "analytics_quarterusage",
        "organization_id, quarter",
        "{row}.organization_id, floor(date_part('epoch', {row}.created_at) / 900)::integer",
        False,
    ),
    (
        "analytics_agentdayusage",
        "organization_id, day, agent_id, credential_id",
        "{row}.organization_id, ({row}.created_at AT TIME ZONE 'UTC')::date, "
        "coalesce({row}.agent_id, " + NOBODY + "), coalesce({row}.credential_id, " + NOBODY + ")",
        True,
    ),
    (
        "analytics_agentmonthusage",
        "organization_id, month, agent_id",
        "{row}.organization_id, "
        "date_trunc('month', {row}.created_at AT TIME ZONE 'UTC')::date, "
        "coalesce({row}.agent_id, " + NOBODY + ")",
        True,
    ),
)


def upserts(row: str) -> str:
    """One upsert for each rollup: of the `single` event, or of the whole `batch`."""
    statements = []
    for table, key, values, keeps_newest in ROLLUPS:
        names = COUNTS.split(", ")
        if row == "single":
            counts = ", ".join(f"(single.outcome = '{name}')::integer" for name in names)
            newest, grouping = "single.created_at", ""
        else:
            counts = ", ".join(f"count(*) FILTER (WHERE outcome = '{name}')" for name in names)
            positions = ", ".join(str(n + 1) for n in range(key.count(",") + 1))
            newest = "max(created_at)"
            grouping = f"FROM batch GROUP BY {positions} ORDER BY {positions}"
        statements.append(f"""
        INSERT INTO {table} AS known ({key}, {COUNTS}{", last_at" if keeps_newest else ""})
        SELECT {values.format(row=row)}, {counts}{", " + newest if keeps_newest else ""}
        {grouping}
        ON CONFLICT ({key}) DO UPDATE SET{ADDED}{NEWEST if keeps_newest else ""};""")
    return "".join(statements)


COUNT_TOKEN_EVENTS = f"""
CREATE FUNCTION analytics_count_token_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    single record;
BEGIN
    SELECT * INTO single FROM batch LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(
        hashtextextended('rollups of ' || single.organization_id, 0));
    IF (SELECT count(*) FROM batch) = 1 THEN{upserts("single")}
    ELSE{upserts("batch")}
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER analytics_count_token_events
    AFTER INSERT ON tokens_tokenevent REFERENCING NEW TABLE AS batch
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_count_token_events()
"""  # noqa: S608 - our own names
NO_COUNTING = """
DROP TRIGGER analytics_count_token_events ON tokens_tokenevent;
DROP FUNCTION analytics_count_token_events()
"""

# Room on each page for the next version of its rows: updates then touch no index.
ROOM = "; ".join(f"ALTER TABLE {table} SET (fillfactor = 70)" for table, *_ in ROLLUPS)
ROOM_UNDONE = "; ".join(f"ALTER TABLE {table} RESET (fillfactor)" for table, *_ in ROLLUPS)


class Migration(migrations.Migration):
    dependencies = [("analytics", "0001_initial"), ("tokens", "0002_isolation")]

    operations = [
        IsolateOrganizations("HourUsage", has_id=False),
        IsolateOrganizations("QuarterUsage", has_id=False),
        IsolateOrganizations("AgentDayUsage", has_id=False),
        IsolateOrganizations("AgentMonthUsage", has_id=False),
        migrations.RunSQL(ROOM, ROOM_UNDONE),
        migrations.RunSQL(COUNT_TOKEN_EVENTS, NO_COUNTING),
    ]
