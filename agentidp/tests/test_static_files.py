from contextlib import closing, nullcontext
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.utils.module_loading import import_string

from agentidp.static_files import with_static_files


def get(path: str) -> tuple[str, dict[str, str], bytes]:
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    answer: list[Any] = []
    body = with_static_files(WSGIHandler())(environ, lambda *start: answer.extend(start))
    with closing(body) if hasattr(body, "close") else nullcontext():
        return answer[0], dict(answer[1]), b"".join(body)


def test_a_static_file_is_served() -> None:
    status, headers, body = get("/static/css/base.css")

    assert status == "200 OK"
    assert headers["Content-Type"].startswith("text/css")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert b"{" in body


def test_files_of_installed_apps_are_served() -> None:
    assert get("/static/django_htmx/django-htmx.js")[0] == "200 OK"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/static/../settings.py", "/static/none.css", "/livez/none"])
def test_everything_else_reaches_django(path: str) -> None:
    status, headers, _ = get(path)

    assert status == "404 Not Found"
    assert headers["Cache-Control"] == "no-store"


def test_no_middleware_makes_django_change_threads() -> None:
    middleware = [import_string(name) for name in settings.MIDDLEWARE]

    assert all(getattr(one, "sync_capable", True) for one in middleware)
