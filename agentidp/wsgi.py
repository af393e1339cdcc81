"""The entry point for a WSGI server: refuses to serve an unsafe configuration."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

try:
    application = get_wsgi_application()
    from agentidp.checks import refuse_unsafe_start

    refuse_unsafe_start()
except ImproperlyConfigured as error:
    sys.exit(f"AgentIdP does not start: {error}")
