"""PostgreSQL's statement timeout for web requests.

Only server processes set it. Whatever `manage.py` starts has none: the worker with its nightly
retention, migrations, backup, restore and imports take as long as they need.
"""

from django.conf import settings
from django.db import connections


def limit_statements() -> None:
    """Limit every statement on connections that this process opens from now on."""
    options = connections.settings["default"]["OPTIONS"]
    limit = f" -c statement_timeout={settings.STATEMENT_TIMEOUT}"
    options["options"] = options["options"].removesuffix(limit) + limit
