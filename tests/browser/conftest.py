"""A real server with the demonstration's data, and a real Chromium whose console is checked."""

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, sync_playwright

from agentidp.devtools.bootstrap import collect_static_files
from agentidp.devtools.bootstrap_tools import find_browser
from agentidp.env import BASE_DIR, env
from demo import server
from tests.browser.engine import HOSTILE, TRACE, Engine

AXE = BASE_DIR / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"width": 360, "height": 780}


def manage(*arguments: str) -> str:
    """The output of a management command on the server's database."""
    answer = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE_DIR,
        env=os.environ | {"AGENTIDP_DEMO": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    return answer.stdout


@pytest.fixture(scope="session")
def own_database() -> Iterator[None]:
    """A new database on the tests' server, because DATABASE_URL may name one that is in use."""
    url = env.str("AGENTIDP_DATABASE_OWNER_URL")
    name = f"agentidp_browser_{secrets.token_hex(6)}"
    with pytest.MonkeyPatch.context() as environment:
        for variable in ("DATABASE_URL", "AGENTIDP_DATABASE_OWNER_URL"):
            address = urlsplit(env.str(variable))._replace(path=f"/{name}").geturl()
            environment.setenv(variable, address)
            environment.setenv(f"{variable}_FILE", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        yield
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def credential(own_database: None) -> dict[str, str]:
    """The demonstration in its own database; client id and secret of an agent in it."""
    manage("migrate")
    found: dict[str, str] = json.loads(manage("seed_demo"))
    return found


@pytest.fixture(scope="session")
def base_url(credential: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server running on that database with the current scripts and styles."""
    collect_static_files()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log: Path = tmp_path_factory.mktemp("server") / "server.log"
    with server.server("127.0.0.1", port, log):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser() or None, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def session_state(base_url: str, chromium: Browser) -> Any:
    """The cookies of the demonstration's owner, who signs in once for all tests."""
    context = chromium.new_context(base_url=base_url, timezone_id="UTC")
    page = context.new_page()
    sign_in(page)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture(scope="module")
def engine(base_url: str, chromium: Browser, credential: dict[str, str]) -> Iterator[Engine]:
    """An engine with the credential of the demonstration's agent."""
    context = chromium.new_context(base_url=base_url)
    yield Engine.of(context.request, **credential)
    context.close()


@pytest.fixture(scope="module")
def finished(engine: Engine) -> str:
    """A run with a result and a file; returns its id."""
    execution = engine.start(summary="Weekly report", inputs={"topic": HOSTILE})
    engine.report(
        execution,
        ("stdout", f"reading {HOSTILE}"),
        ("action", {"Markdown": {"body": f"**Step one** {HOSTILE}"}}),
    )
    engine.make_file(execution, "Übersicht März.csv", b"month;price\n")
    engine.finish(execution, final={"Markdown": {"body": f"# Wool got dearer\n{HOSTILE}"}})
    return execution


@pytest.fixture(scope="module")
def failed(engine: Engine) -> str:
    execution = engine.start(summary="Weekly report")
    engine.finish(execution, status="error", error=f"{TRACE}ValueError: {HOSTILE} is empty")
    return execution


def sign_in(page: Page, name: str = "admin", password: str = "admin") -> None:  # noqa: S107
    page.goto("/login")
    page.get_by_label("Email address or name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def steps_in(page: Page) -> FrameLocator:
    """The document with the steps of the displayed run."""
    return page.frame_locator("iframe[title='Steps of the run']:not(.output-coming)")


def result_in(page: Page) -> FrameLocator:
    """The document with the result of the displayed run."""
    return page.frame_locator("iframe[title='Result of the run']:not(.output-coming)")


@dataclass
class Visitor:
    """A page and the complaints in its console, CSP violations included."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self.hear)

    def hear(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def goto(self, path: str) -> Page:
        self.page.goto(path, wait_until="networkidle")
        return self.page


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(base_url: str, chromium: Browser, session_state: Any) -> Iterator[Visit]:
    """Open pages as the demonstration's owner or anonymously; console complaints fail the test."""
    contexts: list[BrowserContext] = []
    visitors: list[Visitor] = []

    def build(
        path: str = "",
        *,
        dark: bool = False,
        phone: bool = False,
        stranger: bool = False,
        scripts: bool = True,
        zone: str = "UTC",
    ) -> Visitor:
        context = chromium.new_context(
            base_url=base_url,
            storage_state=None if stranger else session_state,
            timezone_id=zone,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            java_script_enabled=scripts,
            viewport=PHONE if phone else {"width": 1280, "height": 900},
        )
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        visitors.append(Visitor(context.new_page()))
        if path:
            visitors[-1].goto(path)
        return visitors[-1]

    yield build
    for context in contexts:
        context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []
