"""Normalization that takes time in proportion to the text, whatever combining characters it has."""

from django.db import migrations

NORMALIZED = r"""
CREATE FUNCTION organizations_normalized(written text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN octet_length(written) = char_length(written) THEN written
    WHEN written COLLATE "C" ~ (
        '[^\u0001-\u02ff\u0e01-\u0e37\u1000-\u1036\u1100-\u1248\u1780-\u17d1'
        || '\u2000-\u2064\u2190-\u2426\u2460-\u2b73\u3000-\u3029\u3030-\u303f\u3041-\u3096'
        || '\u309b-\u30ff\u3220-\ua48c\uac00-\ud7a3\uf900-\ufa6d\uff01-\uffbe'
        || '\U0001f300-\U0001f6d7\U00020000-\U0003ffff]{31}'
    ) THEN written
    ELSE normalize(written) END
"""
NONE = "DROP FUNCTION organizations_normalized(text)"


class Migration(migrations.Migration):
    dependencies = [("organizations", "0019_help_texts")]

    operations = [migrations.RunSQL([NORMALIZED], NONE)]
