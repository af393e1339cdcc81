"""The entry point for a WSGI server: refuses to serve an unsafe configuration, and whoever does not
come through the proxy."""

import gc
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

try:
    django_application = get_wsgi_application()
    from agentidp.checks import refuse_unsafe_start
    from agentidp.failures import answering_failures
    from agentidp.proxy_only import behind_the_proxy
    from agentidp.static_files import with_static_files

    refuse_unsafe_start()
    unguarded_application = answering_failures(with_static_files(django_application))
    application = behind_the_proxy(unguarded_application)
    # What is loaded by now stays for ever: the garbage collector need not look through it again and
    # again, which held up a request for an eighth of a second every time. Answers make many objects
    # and few cycles, so it may also look less often.
    get_resolver().url_patterns  # noqa: B018 - loads the views
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
except ImproperlyConfigured as error:
    sys.exit(f"AgentIdP does not start: {error}")
