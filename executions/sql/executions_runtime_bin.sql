-- The bin of a runtime: four for each doubling; one for all below 8 milliseconds, and one for all
-- above 34 years. A percentile is read exactly, from the runtimes in its bin.
CREATE OR REPLACE FUNCTION executions_runtime_bin(runtime double precision) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN runtime < 0.0078125 THEN -29
        WHEN runtime >= 1073741824 THEN 120
        ELSE floor(ln(runtime) / ln(2.0::double precision) * 4)
    END::smallint;
$$;
