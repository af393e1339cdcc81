-- Text in NFC, or as it is if 31 characters in a row may be combining ones: PostgreSQL puts those
-- in order by insertion, which takes a minute for 100 KB. The list is of characters that never are,
-- in scripts without spaces and in rows of symbols; core.text has the exact list.
CREATE OR REPLACE FUNCTION organizations_normalized(written text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN octet_length(written) = char_length(written) THEN written
    WHEN written COLLATE "C" ~ (
        '[^\u0001-\u02ff\u0e01-\u0e37\u1000-\u1036\u1100-\u1248\u1780-\u17d1'
        || '\u2000-\u2064\u2190-\u2426\u2460-\u2b73\u3000-\u3029\u3030-\u303f\u3041-\u3096'
        || '\u309b-\u30ff\u3220-\ua48c\uac00-\ud7a3\uf900-\ufa6d\uff01-\uffbe'
        || '\U0001f300-\U0001f6d7\U00020000-\U0003ffff]{31}'
    ) THEN written
    ELSE normalize(written) END;
