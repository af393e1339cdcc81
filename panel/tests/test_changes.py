"""Followers of /timeline miss no change while others write in concurrent transactions."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from conftest import ClientFor
from executions.actions import delete_execution
from executions.event_log import NewEvent, append_events
from executions.models import Execution, new_execution
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    START,
    make_execution,
    make_user_of,
)
from organizations.actors import Actor
from organizations.models import Membership
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization
from panel.tests.calls import fids, get
from tests.kodosumi import import_folder
from tests.spooler import fid_of, new_data, write_execution

pytestmark = pytest.mark.django_db(transaction=True)
ENDS = [NewEvent(START + 3, "status", "finished")]


@pytest.fixture
def person() -> Membership:
    return make_membership(make_organization("Northwind Labs"), "operator")


@pytest.fixture
def client(person: Membership, client_for: ClientFor) -> Client:
    return client_for(person)


@pytest.fixture
def own(person: Membership) -> Callable[..., Execution]:
    def make(hours: float = 0, statuses: Any = FINISHED, **fields: Any) -> Execution:
        start = START + hours * 3600
        return make_execution(
            person.organization, statuses, start=start, user=make_user_of(person), **fields
        )

    return make


def within(person: Membership, work: Callable[[], Any]) -> Any:
    with organization_scope(person.organization):
        return work()


@contextmanager
def held_back(person: Membership, work: Callable[[], Any]) -> Iterator[None]:
    """Do the work on another connection, which commits only after the block."""
    is_done, may_commit = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with organization_scope(person.organization):
                work()
                is_done.set()
                assert may_commit.wait(30)
        except BaseException as error:
            failures.append(error)
        finally:
            is_done.set()
            connection.close()

    writer = threading.Thread(target=run)
    writer.start()
    try:
        assert is_done.wait(30)
        yield
    finally:
        may_commit.set()
        writer.join(30)
    assert failures == []


class Follower:
    """A client that keeps what it received and continues from there."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.since = get(client, "/changes")["timestamp"]
        self.told: dict[str, str] = {}
        self.deleted: set[str] = set()

    def ask(self) -> list[str]:
        """The ids of the executions that changed since the last request."""
        body = get(self.client, "/changes", since=self.since)
        self.since = body["timestamp"]
        self.told |= {each["fid"]: each["status"] for each in body["update"]}
        self.deleted |= set(body["delete"])
        return fids(body["update"])

    def ask_until_told(self, wanted: set[str]) -> None:
        for _ in range(1000):
            self.ask()
            if wanted <= self.told.keys():
                return


def test_changes_committed_late_are_reported_though_written_earlier(
    client: Client, own: Any, person: Membership
) -> None:
    changed, deleted, other = own(0, RUNNING), own(1), own(2, RUNNING)
    follower = Follower(client)
    new: list[Execution] = []

    def write() -> None:
        append_events(changed, ENDS)
        delete_execution(deleted, actor=Actor.for_person(person))
        new.append(own(3, RUNNING))

    with held_back(person, write):
        within(person, lambda: append_events(other, ENDS))
        assert follower.ask() == [other.fid]
        # Still reported, because it may not be the last change.
        assert follower.ask() == [other.fid]
    follower.ask()

    assert follower.told == {
        changed.fid: "finished",
        other.fid: "finished",
        new[0].fid: "running",
    }
    assert follower.deleted == {deleted.fid}
    assert follower.ask() == []


def test_a_view_that_updates_itself_loses_nothing_either(
    client: Client, own: Any, person: Membership
) -> None:
    changed, other = own(0, RUNNING), own(1, RUNNING)
    shown = get(client, "")

    def update(shown: dict[str, Any]) -> dict[str, Any]:
        query = {key: shown[key] for key in ("origin", "offset", "timestamp")}
        return get(client, "", mode="update", **query)

    with held_back(person, lambda: append_events(changed, ENDS)):
        within(person, lambda: append_events(other, ENDS))
        second = update(shown)
    third = update(second)

    assert fids(second["items"]["update"]) == [other.fid]
    assert changed.fid in fids(third["items"]["update"])
    assert update(third)["items"]["update"] == []


@pytest.mark.slow
def test_nothing_of_an_import_is_lost_while_another_run_changes(
    client: Client, own: Any, person: Membership, tmp_path: Path
) -> None:
    data, number = new_data(tmp_path / "data"), 200
    for each in range(number):
        write_execution(data, fid_of(each), user=str(person.user_id))
    busy = own(0, RUNNING)
    follower = Follower(client)
    is_over = threading.Event()

    def write_on() -> None:
        try:
            while not is_over.is_set():
                within(person, lambda: append_events(busy, [NewEvent(START + 1, "stdout", "on")]))
        finally:
            connection.close()

    def follow() -> int:
        asked = 0
        try:
            while not is_over.is_set():
                follower.ask()
                asked += 1
        finally:
            connection.close()
        return asked

    with ThreadPoolExecutor(2) as threads:
        writing, following = threads.submit(write_on), threads.submit(follow)
        try:
            import_folder(data, person.organization)
        finally:
            is_over.set()
        writing.result()
        assert following.result() > 1
    follower.ask()

    lost = {fid_of(each) for each in range(number)} - follower.told.keys()
    assert lost == set()


def test_without_a_position_there_is_only_the_one_to_ask_with(client: Client, own: Any) -> None:
    own()

    body = get(client, "/changes")

    assert (body["update"], body["delete"], body["query"]) == ([], [], None)
    assert get(client, "/changes", since=body["timestamp"])["update"] == []


def test_changes_are_reported_in_order_and_only_once(
    client: Client, own: Any, person: Membership
) -> None:
    running, deleted, quiet = own(0, RUNNING), own(1), own(2)
    follower = Follower(client)
    assert follower.ask() == []
    within(person, lambda: append_events(running, ENDS))
    within(person, lambda: delete_execution(deleted, actor=Actor.for_person(person)))
    created = own(3)

    assert follower.ask() == [running.fid, created.fid]
    assert follower.told[running.fid] == "finished"
    assert follower.deleted == {deleted.fid}
    assert quiet.fid not in follower.told
    follower.deleted.clear()
    assert follower.ask() == []
    assert follower.deleted == set()


def test_a_sign_of_life_is_no_change(client: Client, own: Any, person: Membership) -> None:
    execution = own(0, RUNNING)
    follower = Follower(client)
    execution.lease_generation += 1
    within(person, lambda: execution.save(update_fields=["lease_generation"]))

    assert follower.ask() == []


def test_changes_that_the_search_does_not_find_are_left_out(client: Client, own: Any) -> None:
    since = get(client, "/changes")["timestamp"]
    failed, _ = own(0, FAILED), own(1)

    body = get(client, "/changes", since=since, q="status:error")

    assert fids(body["update"]) == [failed.fid]


@pytest.mark.parametrize("begins_with_a_time", [True, False])
def test_very_many_changes_come_in_parts(
    client: Client, own: Any, monkeypatch: pytest.MonkeyPatch, begins_with_a_time: bool
) -> None:
    monkeypatch.setattr("panel.timeline_items.MAX_CHANGES", 2)
    follower = Follower(client)
    if begins_with_a_time:
        follower.since = START
    made = [own(hour).fid for hour in range(5)]

    parts = [follower.ask() for _ in range(4)]

    assert parts == [made[:2], made[2:4], made[4:], []]


def test_the_changes_of_one_transaction_are_not_split(
    client: Client, own: Any, person: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panel.timeline_items.MAX_CHANGES", 2)
    follower = Follower(client)
    within(person, lambda: [own(hour) for hour in range(5)])

    assert len(follower.ask()) == 5
    assert follower.ask() == []


def test_a_position_from_before_a_restore_starts_again(client: Client, own: Any) -> None:
    """A restored backup may restart its transaction numbers from a smaller one."""
    execution = own()

    body = get(client, "/changes", since=2**53 - 1)

    assert fids(body["update"]) == [execution.fid]
    assert get(client, "/changes", since=body["timestamp"])["update"] == []


def test_rows_of_a_restored_backup_are_not_changes(client: Client, person: Membership) -> None:
    follower = Follower(client)
    restored = new_execution(person.organization, user=make_user_of(person), position=2**40)
    within(person, lambda: restored.save(force_insert=True))

    assert follower.ask() == []


def test_changes_of_others_are_not_reported(client: Client, person: Membership) -> None:
    for place in (person.organization, make_organization("Contoso Research")):
        member = make_membership(place, "owner")
        execution = make_execution(place, user=make_user_of(member))
        with organization_scope(place):
            delete_execution(execution, actor=Actor.for_person(member))
        make_execution(place, user=make_user_of(member))

    body = get(client, "/changes", since=0)

    assert (body["update"], body["delete"]) == ([], [])


def test_a_view_grows_at_both_ends(client: Client, own: Any, person: Membership) -> None:
    oldest, older, old = own(0), own(1), own(2)
    first = get(client, "", pp=2)
    new = own(3)
    with organization_scope(person.organization):
        delete_execution(older, actor=Actor.for_person(person))

    query = {key: first[key] for key in ("origin", "offset", "timestamp")}
    down = get(client, "", pp=2, mode="next", **query)
    up = get(client, "", mode="update", **query)

    assert (first["total"], first["origin"], first["offset"]) == (3, old.fid, older.fid)
    assert fids(first["items"]["append"]) == [old.fid, older.fid]
    assert fids(down["items"]["append"]) == [oldest.fid]
    assert (down["origin"], down["offset"]) == (old.fid, oldest.fid)
    assert fids(up["items"]["insert"]) == [new.fid]
    assert (up["origin"], up["items"]["delete"]) == (new.fid, [older.fid])
    assert up["items"]["update"] == []
    assert up["total"] == 3
