-- The smallest id that begins with this time (RFC 9562, version 7; core/ids.py).
CREATE OR REPLACE FUNCTION organizations_first_id(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0')
            || repeat('0', 20))::uuid
$$;
