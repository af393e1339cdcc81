"""Static files, answered before Django sees the request.

ServeStatic's Django middleware is asynchronous only: under WSGI it cost every request an event
loop and a change of threads: 4 times the processor time of a small answer.
"""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from servestatic import ServeStatic

if TYPE_CHECKING:
    from wsgiref.headers import Headers
    from wsgiref.types import WSGIApplication


def with_static_files(application: "WSGIApplication") -> "WSGIApplication":
    """The application and the files: in production the collected ones, else those of the source."""
    server = ServeStatic(
        application,
        autorefresh=settings.DEBUG,
        max_age=0 if settings.DEBUG else 60,
        allow_all_origins=False,
        add_headers_function=_add_headers,
    )
    if settings.IS_PRODUCTION:
        server.add_files(settings.STATIC_ROOT, settings.STATIC_URL)
    else:
        for finder in get_finders():
            for storage in finder.storages.values():  # type: ignore[attr-defined]
                prefix = getattr(storage, "prefix", None) or ""
                server.add_files(storage.location, settings.STATIC_URL + prefix)
    return server


def _add_headers(headers: "Headers", path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
