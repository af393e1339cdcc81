"""A position of /timeline/changes says nothing about other organizations."""

from itertools import pairwise
from uuid import uuid4

from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from conftest import ClientFor
from executions.models import Execution
from executions.tests.factories import FINISHED, START, make_execution, make_user_of
from organizations.models import Organization
from organizations.tests.factories import make_membership
from panel.positions import UNKNOWN, Positions
from panel.tests.calls import fids, get
from panel.timeline_items import FIRST_POSITION, MAX_POSITION

ONE, OTHER = Positions(uuid4()), Positions(uuid4())
NUMBERS = st.integers(0, 2**52 - 1)


@given(NUMBERS)
def test_a_position_is_read_only_where_it_was_written(number: int) -> None:
    position = FIRST_POSITION + number

    written = ONE.write(position)

    assert ONE.read(written) == position
    assert FIRST_POSITION <= written <= MAX_POSITION
    assert written != OTHER.write(position)


def test_following_positions_have_no_order() -> None:
    written = [ONE.write(FIRST_POSITION + number) for number in range(1000)]

    steps = {later - earlier for earlier, later in pairwise(written)}
    assert len(steps) > 900
    assert min(map(abs, steps)) > 1000


@given(st.integers(0, 10**9))
def test_a_position_of_an_earlier_release_is_an_unknown_one(number: int) -> None:
    assert ONE.read(FIRST_POSITION + number) > FIRST_POSITION + 2**32
    assert ONE.read(MAX_POSITION) == UNKNOWN


def test_a_time_is_no_position() -> None:
    assert ONE.write(START) == ONE.read(START) == START


def test_what_others_write_changes_no_position(
    organization: Organization, other_organization: Organization, client_for: ClientFor
) -> None:
    viewer = make_membership(organization, "viewer")
    client: Client = client_for(viewer)
    since = get(client, "/changes")["timestamp"]
    for _ in range(3):
        make_execution(other_organization, FINISHED)

    assert get(client, "/changes", since=since)["timestamp"] == since
    own: Execution = make_execution(organization, FINISHED, user=make_user_of(viewer))
    body = get(client, "/changes", since=since)
    assert fids(body["update"]) == [own.fid]


def test_from_an_old_position_a_client_begins_anew(
    organization: Organization, client_for: ClientFor
) -> None:
    viewer = make_membership(organization, "viewer")
    own = make_execution(organization, FINISHED, user=make_user_of(viewer))

    body = get(client_for(viewer), "/changes", since=FIRST_POSITION + 4711)

    assert fids(body["update"]) == [own.fid]
