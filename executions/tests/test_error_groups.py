"""An organization has a limited number of groups of errors, whatever its engines write."""

from random import Random
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from executions import error_groups
from executions.error_groups import OTHERS
from executions.errors import read_error
from executions.models import ErrorChange, ErrorCount, ExecutionError
from executions.tests.engine import append, post, report
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

MOST = 6


@pytest.fixture
def client(organization: Organization, client_for: Any, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(error_groups, "MAX_GROUPS", MOST)
    made: Client = client_for(organization, scopes="executions:write executions:read")
    return made


def error(word: str) -> dict[str, str]:
    return {"kind": "error", "message": f"ValueError: {word}"}


def words(number: int, seed: int = 0) -> list[str]:
    letters = Random(seed)  # noqa: S311
    return ["".join(letters.choices("bcdfghjk", k=7)) for _ in range(number)]


def fingerprints(organization: Organization) -> list[str]:
    with organization_scope(organization):
        rows = ExecutionError.objects.order_by("sequence")
        return list(rows.values_list("fingerprint", flat=True))


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_new_kinds_beyond_the_limit_share_a_group_and_known_ones_keep_theirs(
    organization: Organization, client: Client, batch: int
) -> None:
    url, kinds = report(client), words(20)
    for start in range(0, len(kinds), batch):
        append(client, url, *(error(each) for each in kinds[start : start + batch]))
    known = fingerprints(organization)
    own = [each for each in known if each != OTHERS]

    append(client, url, error(kinds[known.index(own[0])]), error("something else entirely"))

    assert len(own) == len(set(own)) == MOST
    assert known.count(OTHERS) == len(kinds) - MOST
    assert fingerprints(organization)[len(kinds) :] == [own[0], OTHERS]


def test_an_organization_does_not_fill_the_groups_of_another(
    organization: Organization, other_organization: Organization, client: Client, client_for: Any
) -> None:
    append(client, report(client), *(error(each) for each in words(20)))
    other = client_for(other_organization, scopes="executions:write")

    append(other, report(other), error("first of its kind"))

    assert OTHERS not in fingerprints(other_organization)


def test_deleting_runs_makes_room(organization: Organization, client: Client) -> None:
    full = report(client)
    append(client, full, *(error(each) for each in words(20)))
    post(client, f"{full}/finish", {"status": "finished"})
    fid = full.rpartition("/")[2]
    deleted = client.delete("/outputs", {"fid": [fid]}, content_type="application/json")
    assert deleted.status_code == 204, deleted.content

    append(client, report(client), error("after them"))

    expected = read_error("ValueError: after them").fingerprint()
    assert fingerprints(organization) == [expected]


def test_errors_of_an_earlier_release_are_regrouped_within_the_limit(
    organization: Organization, client: Client
) -> None:
    append(client, report(client), *(error(each) for each in words(20)))
    with organization_scope(organization):
        ExecutionError.objects.update(fingerprint="v0:old")

    call_command("regroup_errors", verbosity=0)

    known = fingerprints(organization)
    assert OTHERS in known
    assert len(set(known) - {OTHERS}) <= MOST


@pytest.mark.slow
def test_many_changes_are_added_up_some_at_a_time(
    organization: Organization, client: Client
) -> None:
    append(client, report(client), error("a"))
    with organization_scope(organization):
        [day] = ErrorChange.objects.values_list("day", flat=True)
        of = {"fingerprint": "v9:a", "day": day, "user_id": organization.pk}
        ErrorChange.objects.bulk_create(
            ErrorChange(organization=organization, agent_name=f"agent {n}", errors=1, **of)
            for n in range(5000)
        )
        left = []
        for _ in range(3):
            with connection.cursor() as cursor:
                cursor.execute("SELECT executions_add_up_errors(%s)", [organization.pk])
            left.append(ErrorChange.objects.count())

        total = ErrorCount.objects.get(seconds=0, property="all", fingerprint="v9:a")

    assert left == [5001 - 4096, 0, 0]
    assert total.errors == 5000
