-- Token events that a statement inserts are counted.
CREATE OR REPLACE TRIGGER analytics_count_token_events
    AFTER INSERT ON tokens_tokenevent
    REFERENCING NEW TABLE AS batch
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_count_token_events();
