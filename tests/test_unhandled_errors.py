"""An unhandled error leaves one log event with its traceback and the request's id."""

import ast
import asyncio
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import Client
from procrastinate import App
from procrastinate.testing import InMemoryConnector

from agentidp.env import BASE_DIR
from agentidp.management.commands import worker
from core.failures import log_what_threads_raise, logging_failures
from core.fast_path.asgi_bridge import Bridge
from live.hub import Hub
from tests.failing_urls import SECRET, TOKEN

pytestmark = pytest.mark.urls("tests.failing_urls")

REQUEST_ID = "canary-request-0001"
Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log() -> Iterator[Log]:
    """The logged lines as an operator reads them."""
    root = logging.getLogger()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(root.handlers[0].formatter)
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)


def failures(log: Log) -> list[dict[str, Any]]:
    return [line for line in log() if "Traceback" in json.dumps(line)]


def get(address: str, **headers: str) -> Any:
    client = Client(raise_request_exception=False)
    return client.get(address, headers={"X-Request-Id": REQUEST_ID} | headers)


@pytest.mark.parametrize(
    ("address", "route", "kind"),
    [
        (f"/api/v1/failing/{SECRET}", "api/v1/failing/<str:secret>", "builtins.ValueError"),
        ("/failing/page", "failing/page", "builtins.RuntimeError"),
        ("/failing/statement", "failing/statement", "django.db.utils.IntegrityError"),
        ("/failing/commit", "failing/commit", "builtins.RuntimeError"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_an_error_of_a_view_is_logged_once_under_the_id_that_its_answer_carries(
    log: Log, address: str, route: str, kind: str
) -> None:
    answer = get(address)

    assert answer.status_code == 500
    assert "It was logged under the request id" in answer.json()["message"]
    own_id = answer["X-Request-Id"]
    assert own_id != REQUEST_ID
    (event,) = failures(log)
    assert (event["event"], event["level"]) == ("unhandled_error", "error")
    assert (event["request_id"], event["client_request_id"]) == (own_id, REQUEST_ID)
    assert (event["method"], event["route"]) == ("GET", route)
    assert "failing_urls.py" in event["exception"]
    assert kind in event["exception"]


@pytest.mark.django_db
def test_the_cause_is_logged_as_well(log: Log) -> None:
    get("/failing/page")

    (event,) = failures(log)
    assert "KeyError: 'cause'" in event["exception"]


@pytest.mark.parametrize("address", [f"/api/v1/failing/{SECRET}", "/failing/statement"])
@pytest.mark.django_db
def test_no_secret_stands_in_a_traceback(log: Log, address: str) -> None:
    get(address)

    assert failures(log)
    text = json.dumps(log())
    for secret in (SECRET, TOKEN, "canary-password-in-a-variable", "(canary-of-a-row"):
        assert secret not in text


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("outside of every view")


@pytest.mark.django_db
def test_an_error_of_the_token_endpoint_is_logged_once(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokens.oauth.token.form_parameters", lambda *_: fail(HttpRequest()))

    answer = Client(raise_request_exception=False).post(
        "/api/v1/token", headers={"X-Request-Id": REQUEST_ID}
    )

    assert answer.json()["error"] == "server_error"
    (event,) = failures(log)
    assert (event["client_request_id"], event["method"]) == (REQUEST_ID, "POST")


@pytest.mark.django_db
def test_an_error_of_a_middleware_is_logged_once(log: Log, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.failing_middleware"]

    assert get("/livez").status_code == 500

    (event,) = failures(log)
    assert event["client_request_id"] == REQUEST_ID


def failing_middleware(get_response: Any) -> Callable[[HttpRequest], HttpResponse]:
    return fail


REFUSALS = [
    ("/failing/suspicious", {}),
    ("/login", {"Host": "evil.example"}),
    ("/api/v1/agents", {}),
    ("/api/v1/agents", {"Authorization": f"Bearer {TOKEN}"}),
    ("/nothing", {}),
    ("/agents?x=%00", {}),
]


@pytest.mark.parametrize(("address", "headers"), REFUSALS)
@pytest.mark.django_db
def test_a_refusal_is_no_error(log: Log, address: str, headers: dict[str, str]) -> None:
    assert 400 <= get(address, **headers).status_code < 500

    assert not failures(log)
    assert {line["level"] for line in log()} <= {"info", "warning"}
    assert SECRET not in json.dumps(log())
    assert "evil.example" not in json.dumps(log())


@pytest.mark.django_db
def test_a_suspicious_request_is_named_under_its_id(log: Log) -> None:
    get("/failing/suspicious")

    (entry,) = [line for line in log() if line["event"] == "request.refused"]
    assert (entry["reason"], entry["client_request_id"]) == ("SuspiciousOperation", REQUEST_ID)


@pytest.mark.django_db
def test_a_form_of_another_site_is_named_without_its_address(log: Log) -> None:
    client = Client(enforce_csrf_checks=True)

    answer = client.post("/login", headers={"Origin": f"https://evil.example/{SECRET}"})

    assert answer.status_code == 403
    (entry,) = [line for line in log() if line["event"] == "form.refused"]
    assert entry["reason"] == "Origin checking failed"
    assert "evil.example" not in json.dumps(log())


def over_asgi(path: str, application: Any) -> list[dict[str, Any]]:
    """The messages that a server is given to send for a GET of this path."""
    sent: list[dict[str, Any]] = []
    waiting: asyncio.Future[Any] | None = None

    async def receive() -> Any:
        nonlocal waiting
        waiting = asyncio.get_running_loop().create_future()
        return await waiting

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(b"host", b"localhost"), (b"x-request-id", REQUEST_ID.encode())],
        "client": ("192.0.2.1", 4711),
        "server": ("127.0.0.1", 3000),
    }

    bridge = Bridge(application, threads=1, max_body=1024)

    async def ask() -> None:
        async with asyncio.timeout(20):
            await bridge(scope, receive, send)

    async_to_sync(ask)()
    bridge._threads.submit(connections.close_all).result()
    return sent


@pytest.mark.parametrize("path", ["/failing/body", "/failing/live"])
@pytest.mark.django_db(transaction=True)
def test_a_body_that_fails_is_logged_once_and_never_ends_as_if_it_were_whole(
    log: Log, path: str
) -> None:
    sent = over_asgi(path, WSGIHandler())

    # Servers treat a message without `more_body` as the end of the body.
    assert all(message.get("more_body") for message in sent[1:]) or sent[0]["status"] == 500
    (event,) = failures(log)
    assert (event["client_request_id"], event["method"]) == (REQUEST_ID, "GET")
    assert event["route"] == path[1:]
    assert "fails" in event["exception"]
    assert SECRET not in json.dumps(log())


@pytest.mark.django_db
def test_a_body_that_fails_under_wsgi_is_logged_once_and_hidden_from_the_server(log: Log) -> None:
    answer = get("/failing/body")
    own_id = answer["X-Request-Id"]

    with pytest.raises(Exception, match=f"The body of request {own_id} broke off") as raised:
        list(answer.streaming_content)

    assert raised.value.__suppress_context__
    (event,) = failures(log)
    assert (event["request_id"], event["route"]) == (own_id, "failing/body")
    assert SECRET not in json.dumps(log())


def broken_application(environ: Any, start_response: Any) -> list[bytes]:
    raise RuntimeError(f"beneath Django {SECRET}")


@pytest.mark.parametrize("application", [broken_application, logging_failures(broken_application)])
def test_an_error_beneath_django_is_logged_once_and_answered(log: Log, application: Any) -> None:
    sent = over_asgi("/x", application)

    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["code"] == "INTERNAL_SERVER_ERROR"
    (event,) = failures(log)
    assert (event["event"], event["method"]) == ("unhandled_error", "GET")
    assert SECRET not in json.dumps(log())


@pytest.mark.django_db(transaction=True)
def test_an_error_after_the_commit_is_logged_once_and_the_change_is_answered_as_made(
    log: Log,
) -> None:
    answer = get("/failing/after-commit")

    assert answer.status_code == 200
    (event,) = failures(log)
    assert (event["request_id"], event["level"]) == (answer["X-Request-Id"], "error")
    assert SECRET not in json.dumps(log())


def test_no_change_that_was_committed_is_answered_as_an_error() -> None:
    """The page of a 500 says that the last change was not saved."""
    ours = [Path(app.path) for app in apps.get_app_configs()]
    calls = [
        node
        for folder in ours
        if folder.parent == BASE_DIR
        for path in folder.rglob("*.py")
        if "tests" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "on_commit"
    ]

    assert len(calls) >= 3
    for call in calls:
        robust = [word for word in call.keywords if word.arg == "robust"]
        assert [ast.literal_eval(word.value) for word in robust] == [True], ast.unparse(call)


def test_an_error_of_a_background_job_is_logged_once(log: Log) -> None:
    queue = App(connector=InMemoryConnector())

    @queue.task(name="failing")
    def failing() -> None:
        raise RuntimeError(f"a job fails {SECRET}")

    with queue.open():
        failing.defer()
        queue.run_worker(wait=False, install_signal_handlers=False, listen_notify=False)

    (event,) = failures(log)
    assert (event["level"], event["logger"]) == ("error", "procrastinate.worker")
    assert "a job fails" in event["exception"]
    assert SECRET not in json.dumps(log())


def test_an_error_of_a_thread_is_logged_once(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # pytest installs its own
    log_what_threads_raise()

    def work() -> None:
        raise RuntimeError(f"in a thread {SECRET}")

    thread = threading.Thread(target=work, name="heart")
    thread.start()
    thread.join()

    (event,) = failures(log)
    assert event["thread"] == "heart"
    assert SECRET not in json.dumps(log())


def test_an_error_of_the_worker_is_logged_and_it_goes_on(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PAUSE", 0)
    stopping = asyncio.Event()
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            stopping.set()
        raise TypeError("a mistake in the code")

    async def rest(*arguments: Any) -> None: ...

    monkeypatch.setattr(worker, "on_django", lambda function: rest)

    asyncio.run(worker.repeat(work, stopping))

    assert tries == 2
    assert [event["event"] for event in failures(log)] == ["unhandled_error"] * 2


def test_an_error_of_the_hub_is_logged_and_it_goes_on(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tick(hub: Hub) -> None:
        raise TypeError("a mistake in the code")

    monkeypatch.setattr(Hub, "_tick", tick)

    asyncio.run(Hub()._tick_safely())

    (event,) = failures(log)
    assert event["event"] == "unhandled_error"


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_the_database_ended_meanwhile_is_an_outage(log: Log) -> None:
    answer = get("/failing/still")

    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert not failures(log)
    assert "database.unavailable" in [line["event"] for line in log()]
