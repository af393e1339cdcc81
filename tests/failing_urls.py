"""Views that fail on purpose, in different places, for test_unhandled_errors.py."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import psycopg
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import SuspiciousOperation
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agentidp.urls import urlpatterns as right_urlpatterns
from core.fast_path.responses import LiveResponse

SECRET = "sk_live_canary-0123456789abcdef0123456789abcdef"
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"


class FailingView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request, secret: str) -> Response:
        password = "canary-password-in-a-variable"
        raise ValueError(f"no such thing: {SECRET} {TOKEN} of {len(password)}")


@login_not_required
def page(request: HttpRequest) -> HttpResponse:
    try:
        raise KeyError("cause")
    except KeyError as error:
        raise RuntimeError("a page fails") from error


@login_not_required
def statement(request: HttpRequest) -> HttpResponse:
    """A statement whose error contains the whole row in its second line."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO organizations_attempt (key, started_at) VALUES ('canary-of-a-row', now())"
        )
    return HttpResponse()


@login_not_required
def at_commit(request: HttpRequest) -> HttpResponse:
    def fail() -> None:
        raise RuntimeError("after the commit")

    transaction.on_commit(fail)
    return HttpResponse()


@login_not_required
def after_commit(request: HttpRequest) -> HttpResponse:
    """Fail in an on_commit hook, registered as `robust` like all others."""

    def fail() -> None:
        raise RuntimeError(f"after the commit {SECRET}")

    transaction.on_commit(fail, robust=True)
    return HttpResponse()


def parts() -> Iterator[bytes]:
    yield b"first"
    raise RuntimeError(f"a body fails {SECRET}")


async def live_parts(over: asyncio.Event) -> AsyncGenerator[bytes, None]:
    yield b"first"
    raise RuntimeError(f"a live body fails {SECRET}")


@login_not_required
def body(request: HttpRequest) -> HttpResponse:
    return StreamingHttpResponse(parts())


@login_not_required
def live(request: HttpRequest) -> Any:
    return LiveResponse(iter([b"now"]), live_parts, lambda: None)


@login_not_required
def suspicious(request: HttpRequest) -> HttpResponse:
    raise SuspiciousOperation(f"refused {SECRET}")


@login_not_required
def still(request: HttpRequest) -> HttpResponse:
    """Stand still in a transaction until the database has ended it."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
        mine = [connection.connection.info.backend_pid]
        with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
            while other.execute("SELECT FROM pg_stat_activity WHERE pid = %s", mine).rowcount:
                pass
        cursor.execute("SELECT 1")
    return HttpResponse()


urlpatterns = [
    *right_urlpatterns,
    path("api/v1/failing/<str:secret>", FailingView.as_view()),
    path("failing/page", page),
    path("failing/statement", statement),
    path("failing/commit", at_commit),
    path("failing/after-commit", after_commit),
    path("failing/body", body),
    path("failing/live", live),
    path("failing/suspicious", suspicious),
    path("failing/still", still),
]
handler400 = "core.handlers.bad_request"
handler403 = "core.handlers.permission_denied"
handler404 = "core.handlers.not_found"
handler500 = "core.handlers.server_error"
