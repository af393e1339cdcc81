-- A token event that stands for more requests than before counts them.
CREATE OR REPLACE TRIGGER analytics_count_token_event_again
    AFTER UPDATE OF times ON tokens_tokenevent
    FOR EACH ROW
    WHEN (NEW.times <> OLD.times)
    EXECUTE FUNCTION analytics_count_token_event_again();
