-- The number of the span of so many seconds since 1970 that has this moment in it. Clocks may be
-- wrong by any amount: moments that no window can have are in the first or in the last span.
CREATE OR REPLACE FUNCTION executions_place(moment double precision, seconds integer)
RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT floor(greatest(least(moment / seconds, 1e9), -1e9))::integer;
$$;
