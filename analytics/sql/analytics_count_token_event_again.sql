-- Counts what was added to the number of requests that a token event stands for. Trigger of the
-- same name, for each updated row.
CREATE OR REPLACE FUNCTION analytics_count_token_event_again() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM analytics_count_token_event(NEW, NEW.times - OLD.times);
    RETURN NULL;
END $$;
