"""Every setting: an empty one counts as unset, and the error for a wrong one is one line."""

import os
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

PAGE = settings.BASE_DIR / "docs" / "reference" / "settings.md"
EXAMPLE = settings.BASE_DIR / ".env.example"
SOURCES = [*(settings.BASE_DIR / "agentidp").glob("*.py")]
NAME = r"(?:AGENTIDP_|DATABASE_|REDIS_|PROMETHEUS_)[A-Z_]+"

NUMBERS = ("one", "-1", "1.5", "1e3", "9" * 5000, "٣")
NOT_ZERO = (*NUMBERS, "0")
ADDRESSES = (
    "db.internal",
    "mysql://a:hunter2@b/c",
    "postgres://",
    "postgres://a:b@c:port/d",
    "postgres://a:hunter2@host/",
    "postgres://host/name",
)
SHORT = ("hunter2", "a" * 64)
FLAGS = ("ture", "2", "yes please")

WRONG: dict[str, tuple[str, ...]] = {
    "DATABASE_URL": ADDRESSES,
    "AGENTIDP_DATABASE_OWNER_URL": ADDRESSES,
    "AGENTIDP_DATABASE_BACKUP_URL": ADDRESSES,
    "AGENTIDP_ENVIRONMENT": ("prodution", "Production"),
    "AGENTIDP_SECRET_KEY": SHORT,
    "AGENTIDP_SECRET_PEPPER": SHORT,
    "AGENTIDP_KEY_ENCRYPTION_KEY": SHORT,
    "AGENTIDP_SECRET_KEY_FALLBACKS": SHORT,
    "AGENTIDP_SECRET_PEPPER_FALLBACKS": SHORT,
    "AGENTIDP_KEY_ENCRYPTION_KEY_FALLBACKS": SHORT,
    "AGENTIDP_ISSUER": (
        "id.example.com",
        "ftp://x",
        "https://",
        "https://a b",
        "https://a?b",
        "https://a:port",
    ),
    "AGENTIDP_AUDIENCE": ("a b", "a,b"),
    "AGENTIDP_ALLOWED_HOSTS": (
        "https://id.example.com",
        "id.example.com:443",
        "a b",
        "ok.example,a/b",
    ),
    "AGENTIDP_BEHIND_TLS_PROXY": FLAGS,
    "AGENTIDP_HSTS_INCLUDE_SUBDOMAINS": FLAGS,
    "AGENTIDP_HSTS_PRELOAD": (*FLAGS, "true"),  # not without the one above
    "AGENTIDP_TRUSTED_PROXY_HOPS": NUMBERS,
    "AGENTIDP_ACCESS_TOKEN_SECONDS": NOT_ZERO,
    "AGENTIDP_JWKS_MAX_AGE_SECONDS": NOT_ZERO,
    "AGENTIDP_ANALYTICS_ENABLED": FLAGS,
    "AGENTIDP_TOKEN_EVENT_RETENTION_MONTHS": NUMBERS,
    "AGENTIDP_FILES_FOLDER": ("files", __file__),
    "AGENTIDP_FILES_BUCKET": ("A_Bucket", "s3://bucket", "bucket/folder", "ab"),
    # Without a bucket, any value of these is wrong.
    "AGENTIDP_FILES_BUCKET_FOLDER": ("/files/", "a//b", "../up", "files"),
    "AGENTIDP_FILES_BUCKET_REGION": ("Frankfurt am Main", "eu-central-1"),
    "AGENTIDP_FILES_BUCKET_ENDPOINT": ("s3.example.com", "https://k:hunter2@s3", "https://s3:port"),
    "AGENTIDP_FILES_BUCKET_KEY_ID": ("two words", "AKIAHUNTER2"),
    "AGENTIDP_FILES_BUCKET_SECRET_KEY": ("hunter2", "hunter 2"),
    "AGENTIDP_FILE_MAX_BYTES": NOT_ZERO,
    "AGENTIDP_EXECUTION_FILES_MAX_BYTES": NOT_ZERO,
    "AGENTIDP_EXECUTION_FILES_MAX_NUMBER": NOT_ZERO,
    "AGENTIDP_MAX_EXECUTIONS": NUMBERS,
    "AGENTIDP_MAX_EVENT_BYTES": NUMBERS,
    "AGENTIDP_MAX_FILE_BYTES": NUMBERS,
    "AGENTIDP_EXECUTIONS_PER_MINUTE": NOT_ZERO,
    "REDIS_URL": ("localhost:6379", "http://localhost"),
    "AGENTIDP_WEB_THREADS": NOT_ZERO,
    "AGENTIDP_READER_TIMEOUT_SECONDS": NOT_ZERO,
    "AGENTIDP_PASSWORD_HASHES_AT_ONCE": NOT_ZERO,
    "AGENTIDP_WORKER_CONCURRENCY": NOT_ZERO,
    "AGENTIDP_WORKER_GRACE_SECONDS": NUMBERS,
    "AGENTIDP_STREAMS_PER_CALLER": NOT_ZERO,
    "AGENTIDP_STREAMS_PER_ORGANIZATION": NOT_ZERO,
    "AGENTIDP_WAIT_FOR_JOB_SECONDS": NUMBERS,
    "AGENTIDP_STATEMENT_TIMEOUT": ("15 seconds", "-1", "1s -c row_security=off"),
    "AGENTIDP_IDLE_TRANSACTION_TIMEOUT": ("60 seconds", "-1", "1s -c row_security=off"),
    "AGENTIDP_EMAIL_URL": ("mail.example.com", "smtp://", "smtp://host:port", "pigeon://host"),
    "AGENTIDP_EMAIL_FROM": ("nobody", "@"),
    "AGENTIDP_METRICS_TOKEN": SHORT,
    "PROMETHEUS_MULTIPROC_DIR": ("/nowhere/at/all", __file__),
    "AGENTIDP_LOG_LEVEL": ("info", "LOUD"),
    "AGENTIDP_DEBUG": (*FLAGS, "true"),  # in production
    "AGENTIDP_DEMO": FLAGS,
    # Variables of installation and of paths to programs, which settings do not read. Tests of their
    # own cover empty ones.
    "AGENTIDP_VENV": (),
    "AGENTIDP_CHROMIUM": (),
    "AGENTIDP_PG_BIN": (),
}
GOOD = {
    "AGENTIDP_ENVIRONMENT": "production",
    "AGENTIDP_ISSUER": "https://id.example.com",
    "DATABASE_URL": "postgres://agentidp_app:x@localhost/agentidp",
    "AGENTIDP_SECRET_KEY": "a-key-of-a-test-0123456789-abcdefghijkl",
    "AGENTIDP_SECRET_PEPPER": "a-pepper-of-a-test-0123456789-abcdefghijkl",
    "AGENTIDP_KEY_ENCRYPTION_KEY": "another-key-of-a-test-0123456789-abcdefghijkl",
}


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if re.fullmatch(NAME, name):
            monkeypatch.delenv(name)


def read(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> dict[str, Any]:
    """The settings, with these values in the environment."""
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    found = runpy.run_path(str(settings.BASE_DIR / "agentidp" / "settings.py"))
    return {name: value for name, value in found.items() if name.isupper()}


def test_every_setting_has_a_row_and_is_documented() -> None:
    table = "\n".join(re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.M))
    used = {
        name.removesuffix("_FILE")
        for path in SOURCES
        for name in re.findall(rf"[\"']({NAME})[\"']", path.read_text())
    }
    used -= {"DATABASE_ROLE", "DATABASE_OWNER"}  # also names of Django settings

    assert set(re.findall(rf"`({NAME})`", table)) == set(WRONG)
    assert used <= set(WRONG)
    shown = set(re.findall(rf"^#({NAME})=", EXAMPLE.read_text(), re.M))
    assert shown - set(WRONG) == set()
    assert set(WRONG) - shown <= {
        "AGENTIDP_DEMO",
        "AGENTIDP_DATABASE_BACKUP_URL",
        "AGENTIDP_MAX_EXECUTIONS",
        "AGENTIDP_MAX_EVENT_BYTES",
        "AGENTIDP_MAX_FILE_BYTES",
        "AGENTIDP_EXECUTIONS_PER_MINUTE",
    }


def test_the_page_names_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = re.findall(rf"^\| `({NAME})` \| `(\w+)` \|", PAGE.read_text(), re.M)
    unset, wrong = read(monkeypatch, GOOD), []
    for name, value in rows:
        if read(monkeypatch, GOOD | {name: value}) != unset:
            wrong.append(name)
        monkeypatch.delenv(name)

    assert len(rows) > 25
    assert wrong == []


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_one_is_named_in_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for value in WRONG[name]:
        with pytest.raises(ImproperlyConfigured) as direct:
            read(monkeypatch, GOOD | {name: value})
        monkeypatch.delenv(name)
        path = tmp_path / "value"
        path.write_text(f"{value}\n")
        path.chmod(0o600)
        others = {each: GOOD[each] for each in GOOD if each != name}
        with pytest.raises(ImproperlyConfigured) as from_file:
            read(monkeypatch, others | {f"{name}_FILE": str(path)})
        monkeypatch.delenv(f"{name}_FILE")

        assert str(direct.value) == str(from_file.value)
        assert name in str(direct.value), value
        assert len(str(direct.value).splitlines()) == 1
        assert "hunter2" not in str(direct.value)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_one_is_an_unset_one(
    name: str, empty: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AGENTIDP_ENVIRONMENT", "development")
    if name == "AGENTIDP_ENVIRONMENT":
        monkeypatch.delenv(name)
    path = tmp_path / "value"
    path.write_text(empty)
    unset = read(monkeypatch, {})

    assert read(monkeypatch, {name: empty}) == unset
    assert read(monkeypatch, {name: "", f"{name}_FILE": str(path)}) == unset
    assert read(monkeypatch, {f"{name}_FILE": empty}) == unset


NEEDED = [name for name in GOOD if name not in {"AGENTIDP_ENVIRONMENT", "DATABASE_URL"}]


@pytest.mark.parametrize("name", NEEDED)
def test_in_production_an_empty_one_that_is_needed_is_missed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        read(monkeypatch, GOOD | {name: ""})


def test_a_secret_may_begin_with_a_dollar(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "$" + GOOD["AGENTIDP_SECRET_KEY"]

    assert read(monkeypatch, GOOD | {"AGENTIDP_SECRET_KEY": secret})["SECRET_KEY"] == secret


def test_other_names_are_held_to_tls_only_where_the_operator_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = read(monkeypatch, GOOD)
    assert found["SECURE_HSTS_SECONDS"] == 31_536_000
    assert not found["SECURE_HSTS_INCLUDE_SUBDOMAINS"]
    assert not found["SECURE_HSTS_PRELOAD"]

    both = {"AGENTIDP_HSTS_INCLUDE_SUBDOMAINS": "true", "AGENTIDP_HSTS_PRELOAD": "yes"}
    found = read(monkeypatch, GOOD | both)
    assert found["SECURE_HSTS_INCLUDE_SUBDOMAINS"]
    assert found["SECURE_HSTS_PRELOAD"]


BUCKET = GOOD | {"AGENTIDP_FILES_BUCKET": "files.example"}
KEY = {"AGENTIDP_FILES_BUCKET_KEY_ID": "AKIAEXAMPLE", "AGENTIDP_FILES_BUCKET_SECRET_KEY": "hunter2"}


def test_a_bucket_takes_the_place_of_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    more = {
        "AGENTIDP_FILES_BUCKET_FOLDER": "agentidp/files",
        "AGENTIDP_FILES_BUCKET_REGION": "eu-central-1",
        "AGENTIDP_FILES_BUCKET_ENDPOINT": "http://127.0.0.1:9000/",
    }

    files = read(monkeypatch, BUCKET | KEY | more)["STORAGES"]["default"]

    assert files["BACKEND"] == "executions.file_bucket.BucketStorage"
    assert files["OPTIONS"] == {
        "bucket_name": "files.example",
        "location": "agentidp/files",
        "region_name": "eu-central-1",
        "endpoint_url": "http://127.0.0.1:9000",
        "access_key": "AKIAEXAMPLE",
        "secret_key": "hunter2",
        "security_token": None,
        "session_profile": None,
    }


@pytest.mark.parametrize("name", KEY)
def test_half_a_key_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured, match=name) as caught:
        read(monkeypatch, BUCKET | {name: KEY[name]})

    assert len(str(caught.value).splitlines()) == 1


def test_a_bucket_without_its_packages_says_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agentidp.file_settings.find_spec", lambda name: None)

    with pytest.raises(ImproperlyConfigured, match=r"pip install -r requirements-s3\.txt"):
        read(monkeypatch, BUCKET)
