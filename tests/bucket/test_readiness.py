"""Readiness and `manage.py check` name a bucket that cannot be used."""

import pytest
from django.core.checks import run_checks
from django.test import Client

from agentidp import health
from executions.file_bucket import BucketStorage
from tests import s3
from tests.bucket.unavailable import away


@pytest.mark.parametrize("kind", ["closed", "silent", "trickling"])
def test_readiness_and_check_show_a_bucket_that_is_away(
    db: None, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    health.readiness.forget()
    with away(kind, monkeypatch):
        answer = Client().get("/readyz")
        warnings = [str(each.msg) for each in run_checks() if each.id == "agentidp.W001"]
    health.readiness.forget()

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["files"] == "failed"
    assert b"files-of-nobody" not in answer.content
    assert len(warnings) == 1
    assert "files-of-nobody cannot be reached" in warnings[0]


def test_check_reports_a_missing_bucket(s3_server: str) -> None:
    with s3.files_in(s3_server, "files-that-nobody-made"):
        warnings = [str(each.msg) for each in run_checks() if each.id == "agentidp.W001"]

    assert warnings == ["Files cannot be stored. The bucket files-that-nobody-made does not exist."]


def test_a_bucket_that_is_there_is_no_problem(bucket: BucketStorage) -> None:
    assert bucket.problem() == ""
