"""The WSGI entry point.

It refuses to start with an unsafe configuration, and to serve callers that bypass the proxy.
"""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

try:
    django_application = get_wsgi_application()
    from agentidp.checks import refuse_unsafe_start
    from core.content_types import with_known_content_types
    from core.failures import logging_failures
    from core.memory import collect_in_time
    from core.proxy_only import behind_the_proxy
    from core.static_files import with_static_files
    from core.time_limits import limit_idle_transactions, limit_statements
    from tokens.oauth.token_door import with_token_endpoint

    limit_statements()
    limit_idle_transactions()
    refuse_unsafe_start()
    unguarded_application = logging_failures(
        with_token_endpoint(with_static_files(with_known_content_types(django_application)))
    )
    application = behind_the_proxy(unguarded_application)
    get_resolver().url_patterns  # noqa: B018 - loads the views
    collect_in_time()
except ImproperlyConfigured as error:
    sys.exit(f"AgentIdP does not start: {error}")
