-- Makes the partition of one month (UTC), and returns its name, or NULL if the month has one. Rows
-- of this month that the default partition took move into it. Only the owner can do it, directly or
-- through organizations_make_partitions.
CREATE OR REPLACE FUNCTION organizations_make_partition(parent regclass, month date)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET timezone = 'UTC' AS $$
DECLARE
    own CONSTANT text :=
        'organization_id = NULLIF(current_setting(''app.organization_id'', true), '''')::uuid';
    first_moment CONSTANT timestamptz := month;
    end_moment CONSTANT timestamptz := month + interval '1 month';
    first_bound text := first_moment;
    end_bound text := end_moment;
    spare regclass;
    room text;
    made text;
    key text;
    type_of_key regtype;
    grantee oid;
BEGIN
    IF month <> date_trunc('month', month) THEN
        RAISE EXCEPTION 'A month begins on its first day, not on %.', month;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('partitions of ' || parent, 0));
    IF EXISTS (SELECT FROM organizations_partitions(parent) p
               WHERE p.since < end_moment AND p.before > first_moment) THEN
        RETURN NULL;
    END IF;
    SELECT p.partition INTO STRICT spare FROM organizations_partitions(parent) p
    WHERE p.before IS NULL;
    SELECT nspname, relname || to_char(month, '_YYYY_MM') INTO room, made
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = parent;
    SELECT attname, atttypid INTO STRICT key, type_of_key
    FROM pg_partitioned_table JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
    WHERE partrelid = parent;
    IF type_of_key = 'uuid'::regtype THEN
        first_bound := organizations_first_id(first_moment);
        end_bound := organizations_first_id(end_moment);
    END IF;
    EXECUTE format(
        'CREATE TABLE %I.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
        room, made, parent
    );
    -- Its rows are read and written through the parent.
    FOR grantee IN
        SELECT DISTINCT acl.grantee FROM pg_class, aclexplode(relacl) acl
        WHERE pg_class.oid = format('%I.%I', room, made)::regclass AND acl.grantee <> relowner
    LOOP
        EXECUTE format(
            'REVOKE ALL ON %I.%I FROM %s', room, made,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
        );
    END LOOP;
    -- ATTACH PARTITION locks the default partition as well, and looks for such rows there. Written
    -- to a partition, they fire no trigger of the parent: they are counted.
    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', spare);
    EXECUTE format(
        'WITH moved AS (DELETE FROM %s WHERE %I >= %L AND %I < %L RETURNING *) '
        'INSERT INTO %I.%I SELECT * FROM moved',
        spare, key, first_bound, key, end_bound, room, made
    );
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', spare);
    EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', room, made);
    EXECUTE format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', room, made);
    EXECUTE format(
        'CREATE POLICY organization_isolation ON %I.%I USING (%s) WITH CHECK (%s)',
        room, made, own, own
    );
    EXECUTE format(
        'ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
        parent, room, made, first_bound, end_bound
    );
    RETURN made;
END $$;
