"""The fixtures that every app's tests share."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.template import engines
from django.test import Client, TransactionTestCase, override_settings
from django.utils import timezone

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
    """What only root can set up is left out for everybody else."""
    if os.geteuid() != 0:
        leave_out(config, items, lambda item: item.get_closest_marker("root") is not None)
    if most := config.getoption("--cases"):
        cases: Counter[str] = Counter()

        def is_one_more(item: pytest.Item) -> bool:
            function = item.nodeid.partition("[")[0]
            cases[function] += 1
            return cases[function] > most

        leave_out(config, items, is_one_more)


def leave_out(
    config: pytest.Config, items: list[pytest.Item], is_left_out: Callable[[pytest.Item], bool]
) -> None:
    left_out = {item for item in items if is_left_out(item)}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI runs everything is installed: what is skipped there is not tested at all."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    """People's passwords are hashed slowly on purpose; tests have other things to prove."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


class UndefinedName(str):
    """What a template of ours gets for a name that does not exist. Django writes nothing in its
    place, and a whole column stays empty unnoticed; its own templates count on that."""

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
    """Files of executions do not outlive the run."""
    with override_settings(MEDIA_ROOT=tmp_path_factory.mktemp("files")):
        yield


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that speaks the protocol of Amazon S3."""
    from tests import s3

    with s3.server(tmp_path_factory.mktemp("s3") / "log") as address:
        yield address


@pytest.fixture
def bucket(s3_server: str) -> Iterator[Any]:
    """An empty bucket that is the storage of files."""
    from tests import s3

    with s3.files_in(s3_server, s3.make_bucket(s3_server)) as storage:
        yield storage


@pytest.fixture(params=["folder", "bucket"])
def each_storage(request: pytest.FixtureRequest) -> None:
    """Run the test once with each kind of storage of files."""
    if request.param == "bucket":
        request.getfixturevalue("bucket")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """The test database is made, and dropped in the end, by its owner."""
    connect_with(connection, settings.DATABASE_OWNER)


@pytest.fixture(scope="session")
def django_db_setup(
    application_access: dict[str, Any], django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """The tests run as the application's role. The ring's first keys are made once: an RSA key
    takes longer than most tests."""
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
    """How the application connects."""
    return dict(connection.settings_dict)


def _empty_as_owner(test: TransactionTestCase) -> None:
    """Nobody but the owner may empty tables, and the audit log not even the owner."""
    trigger = "ALTER TABLE organizations_auditevent {} TRIGGER organizations_auditevent_not_emptied"
    with as_owner(connection):
        with connection.cursor() as cursor:
            cursor.execute(trigger.format("DISABLE"))
        try:
            _empty(test)
        finally:
            with connection.cursor() as cursor:
                cursor.execute(trigger.format("ENABLE"))

        keep_unidentified_organization()


_empty = TransactionTestCase._fixture_teardown
TransactionTestCase._fixture_teardown = _empty_as_owner


@pytest.fixture
def owner(transactional_db: None) -> Iterator[psycopg.Connection]:
    """The owner's own connection, on which every statement is committed at once."""
    with as_owner(connection):
        parameters = connection.get_connection_params()
    names = {"dbname", "user", "host", "port", "password"}
    access = {name: value for name, value in parameters.items() if name in names}
    with psycopg.connect(**access, autocommit=True) as connected:
        yield connected


@pytest.fixture(autouse=True)
def fresh_key_ring(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that commits empties the tables behind the ring of the test after it.

    No ring reads them again by itself, which would be one query more for whoever counts them.
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
    """An HTTP client that carries the bearer token of an agent, a membership or an organization.

    For an organization it acts as a new agent that holds `scopes`.
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
    """A browser in which the membership's person has signed in."""

    def build(membership: Membership) -> Client:
        client = Client(headers={"Accept": "text/html"})
        client.force_login(membership.user)
        session = client.session
        session["organization_id"] = str(membership.organization_id)
        session.save()
        return client

    return build
