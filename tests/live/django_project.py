"""A Django project with the middleware of docs/examples: `python django_project.py PORT`."""

import os
import sys
from wsgiref.simple_server import make_server

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a test",
    MIDDLEWARE=["django_tokens.AgentTokenMiddleware"],
    AGENT_ISSUER=os.environ["ISSUER"],
    AGENT_AUDIENCE=os.environ["AUDIENCE"],
    AGENT_ORGANIZATIONS=os.environ["ORGANIZATIONS"].split(),
)

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django_tokens import needs  # noqa: E402


@needs("files:read")
def files(request):
    return JsonResponse({"agent": request.agent["client_id"]})


@needs("files:write")
def store(request):
    return JsonResponse({"stored": True})


urlpatterns = [
    path("files", lambda request: (store if request.method == "POST" else files)(request))
]

if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
