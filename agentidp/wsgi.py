"""The entry point for a WSGI server: refuses to serve an unsafe configuration."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

try:
    django_application = get_wsgi_application()
    from agentidp.checks import refuse_unsafe_start
    from agentidp.static_files import with_static_files

    refuse_unsafe_start()
    application = with_static_files(django_application)
except ImproperlyConfigured as error:
    sys.exit(f"AgentIdP does not start: {error}")
