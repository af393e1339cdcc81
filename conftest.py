"""Fixtures for all tests."""

import gc
import os
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.core.management.color import no_style
from django.db import connection
from django.template import engines
from django.test import Client, TransactionTestCase, override_settings
from django.utils import timezone

from agentidp.devtools.test_database import caretaker
from agents.models import Agent
from agents.tests.factories import make_agent
from core.database_roles import as_owner, connect_with
from organizations.models import Membership, Organization
from organizations.tests.factories import keep_unidentified_organization, make_organization
from tokens.keys import key_ring, make_first_key
from tokens.models import SigningKey
from tokens.tests.factories import access_token_for

ClientFor = Callable[..., Client]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cases", type=int, metavar="N", help="run only the first N cases of each test function"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that need root unless run as root, and apply `--cases`."""
    if os.geteuid() != 0:
        leave_out(config, items, lambda item: item.get_closest_marker("root") is not None)
    if most := config.getoption("--cases"):
        cases: Counter[str] = Counter()

        def is_one_more(item: pytest.Item) -> bool:
            function = item.nodeid.partition("[")[0]
            cases[function] += 1
            return cases[function] > most

        leave_out(config, items, is_one_more)


def pytest_collection_finish() -> None:
    """Let the collector pass over the tests themselves, which stay until the end."""
    gc.collect()
    gc.freeze()


def leave_out(
    config: pytest.Config, items: list[pytest.Item], is_left_out: Callable[[pytest.Item], bool]
) -> None:
    left_out = {item for item in items if is_left_out(item)}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn skipped tests into failures in CI, where everything is installed."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    """Hash passwords fast: the real hasher is slow on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


class UndefinedName(str):
    """Fails a test when a template of AgentIdP uses an undefined name, which Django would render as
    nothing. Django's own templates rely on that."""

    def __mod__(self, name: object) -> str:
        frame = sys._getframe(1)
        while "context" not in frame.f_locals and frame.f_back:
            frame = frame.f_back
        template = frame.f_locals["context"].render_context.template
        if Path(template.origin.name).is_relative_to(settings.BASE_DIR / "templates"):
            raise AssertionError(f"{template.name} names {name}, which does not exist.")
        return ""


@pytest.fixture(scope="session", autouse=True)
def strict_templates() -> None:
    engines["django"].engine.string_if_invalid = UndefinedName("%s")


@pytest.fixture(scope="session", autouse=True)
def files_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Store the files of executions in a temporary folder."""
    with override_settings(MEDIA_ROOT=tmp_path_factory.mktemp("files")):
        yield


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3-compatible server."""
    from tests import s3

    with s3.server(tmp_path_factory.mktemp("s3") / "log") as address:
        yield address


@pytest.fixture
def bucket(s3_server: str) -> Iterator[Any]:
    """An empty bucket, used as the file storage."""
    from tests import s3

    with s3.files_in(s3_server, s3.make_bucket(s3_server)) as storage:
        yield storage


@pytest.fixture(params=["folder", "bucket"])
def each_storage(request: pytest.FixtureRequest) -> None:
    """Run the test once with each kind of file storage."""
    if request.param == "bucket":
        request.getfixturevalue("bucket")


@pytest.fixture(scope="session")
def django_db_keepdb(request: pytest.FixtureRequest) -> bool:
    """Drop no database of a temporary server, which goes as a whole: that took half a minute."""
    return caretaker in request.config.stash or bool(request.config.getoption("reuse_db"))


@pytest.fixture(scope="session")
def django_db_createdb(request: pytest.FixtureRequest) -> bool:
    return caretaker in request.config.stash or bool(request.config.getoption("create_db"))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """Create and drop the test database as its owner."""
    connect_with(connection, settings.DATABASE_OWNER)


@pytest.fixture(scope="session")
def django_db_setup(
    application_access: dict[str, Any], django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """Run tests as the application's role.

    The first signing keys are created once, because an RSA key takes longer than most tests.
    """
    with django_db_blocker.unblock():
        connect_with(connection, application_access)
        make_first_key()
        make_first_key("RS256")
        SigningKey.objects.update(active_from=timezone.now())
    yield
    with django_db_blocker.unblock():
        connect_with(connection, settings.DATABASE_OWNER)


@pytest.fixture(scope="session")
def application_access() -> dict[str, Any]:
    """The database settings of the application's role."""
    return dict(connection.settings_dict)


def _empty_as_owner(test: TransactionTestCase) -> None:
    """Empty the tables as the owner, since the application's role may not, and disable the trigger
    that protects the audit log even from the owner."""
    trigger = "ALTER TABLE organizations_auditevent {} TRIGGER organizations_auditevent_not_emptied"
    with as_owner(connection):
        with connection.cursor() as cursor:
            cursor.execute(trigger.format("DISABLE"))
        try:
            connection.ops.execute_sql_flush(_statements_that_empty())
        finally:
            with connection.cursor() as cursor:
                cursor.execute(trigger.format("ENABLE"))

        keep_unidentified_organization()


@cache
def _statements_that_empty() -> list[str]:
    """Leave what `migrate` writes into two tables: to write it again takes longer than a test.
    Empty the queue's tables as well, which Django does not manage."""
    tables = set(connection.introspection.django_table_names(only_existing=True))
    tables |= {model._meta.db_table for model in apps.get_app_config("procrastinate").get_models()}
    tables -= {"auth_permission", "django_content_type"}
    return connection.ops.sql_flush(no_style(), sorted(tables))


TransactionTestCase._fixture_teardown = _empty_as_owner


@pytest.fixture
def owner(transactional_db: None) -> Iterator[psycopg.Connection]:
    """A separate connection of the owner in autocommit mode."""
    with as_owner(connection):
        parameters = connection.get_connection_params()
    names = {"dbname", "user", "host", "port", "password"}
    access = {name: value for name, value in parameters.items() if name in names}
    with psycopg.connect(**access, autocommit=True) as connected:
        yield connected


@pytest.fixture(autouse=True)
def fresh_key_ring(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reset the key ring where needed, because a test that commits empties its table.

    The ring does not reload by itself in tests: that query would disturb tests that count queries.
    """
    monkeypatch.setattr("tokens.keys.RELOAD_AFTER_SECONDS", 1e9)
    mark = request.node.get_closest_marker("django_db")
    commits = "transactional_db" in request.fixturenames
    if commits or (mark is not None and mark.kwargs.get("transaction")):
        key_ring.forget()


@pytest.fixture
def organization(db: None) -> Organization:
    return make_organization("Northwind Labs")


@pytest.fixture
def other_organization(db: None) -> Organization:
    return make_organization("Contoso Research")


@pytest.fixture
def client_for() -> ClientFor:
    """Build an HTTP client with a bearer token of an agent, membership or organization.

    For an organization, the client acts as a new agent with `scopes`.
    """

    def build(
        subject: Organization | Agent | Membership | None = None, *, scopes: str | None = None
    ) -> Client:
        if subject is None:
            return Client()
        if isinstance(subject, Organization):
            subject = make_agent(subject, scopes=(scopes or "").split())
        token = access_token_for(subject, scopes=scopes)
        return Client(headers={"Authorization": f"Bearer {token}"})

    return build


@pytest.fixture
def signed_in() -> Callable[..., Client]:
    """A function that builds a browser session of the membership's person."""

    def build(membership: Membership) -> Client:
        client = Client(headers={"Accept": "text/html"})
        client.force_login(membership.user)
        session = client.session
        session["organization_id"] = str(membership.organization_id)
        session.save()
        return client

    return build
