"""An administrator's viewer also ends when its agent may no longer hold admin:orgs.

The role that it looks with comes from that scope in its token (tokens/liveness.py).
"""

from importlib import import_module

from django.db import migrations

ENDED_BEFORE = import_module("tokens.migrations.0009_viewers_of_removed_keys").ENDED
ENDED = ENDED_BEFORE.replace(
    "(v.role = '' OR coalesce(p.role, '') = v.role)",
    "(v.role = '' OR p.role = v.role AND 'admin:orgs' = ANY (a.scopes))",
)


class Migration(migrations.Migration):
    dependencies = [("tokens", "0010_counted_failures")]

    operations = [migrations.RunSQL(ENDED, ENDED_BEFORE)]
