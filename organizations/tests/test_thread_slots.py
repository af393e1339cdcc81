"""How many threads of a process one organization may hold, with slow requests or with many."""

from contextlib import ExitStack
from uuid import UUID, uuid4

import pytest

from organizations.tenancy.thread_slots import (
    MAX_WAIT_SECONDS,
    SLOW_REQUEST_SECONDS,
    WINDOW_SECONDS,
    OrganizationBusy,
    OrganizationFlooding,
    ThreadSlots,
)

HALF = 4
OURS, THEIRS = uuid4(), uuid4()
LONG = SLOW_REQUEST_SECONDS + 0.1


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slots(clock: Clock) -> ThreadSlots:
    return ThreadSlots(HALF, clock)


def has_room(slots: ThreadSlots, organization: UUID) -> bool:
    try:
        with slots.hold(organization):
            return True
    except OrganizationBusy:
        return False


def test_quick_requests_are_as_many_as_there_are_threads(slots: ThreadSlots) -> None:
    with ExitStack() as stack:
        for _ in range(5 * HALF):
            stack.enter_context(slots.hold(OURS))


def test_an_organization_that_holds_half_of_the_threads_for_long_gets_no_more(
    slots: ThreadSlots, clock: Clock
) -> None:
    with ExitStack() as stack:
        for _ in range(HALF):
            stack.enter_context(slots.hold(OURS))
        at_once = has_room(slots, OURS)
        clock.now += LONG

        assert (at_once, has_room(slots, OURS), has_room(slots, THEIRS)) == (True, False, True)
    assert has_room(slots, OURS), "the half is theirs"


def test_it_is_remembered_for_a_minute_also_when_all_threads_were_held(
    slots: ThreadSlots, clock: Clock
) -> None:
    with ExitStack() as stack:
        for _ in range(2 * HALF):
            stack.enter_context(slots.hold(OURS))
        clock.now += LONG
    with ExitStack() as stack:
        for _ in range(HALF):
            stack.enter_context(slots.hold(OURS))

        assert not has_room(slots, OURS)
        assert has_room(slots, THEIRS)
    clock.now += WINDOW_SECONDS
    with ExitStack() as stack:
        for _ in range(2 * HALF):
            stack.enter_context(slots.hold(OURS))


def test_fewer_long_requests_than_half_of_the_threads_change_nothing(
    slots: ThreadSlots, clock: Clock
) -> None:
    with ExitStack() as stack:
        for _ in range(HALF - 1):
            stack.enter_context(slots.hold(OURS))
        clock.now += 10 * LONG
        for _ in range(HALF):
            stack.enter_context(slots.hold(OURS))


def test_a_request_that_fails_gives_its_place_back(slots: ThreadSlots, clock: Clock) -> None:
    for _ in range(2 * HALF):
        with pytest.raises(ZeroDivisionError), slots.hold(OURS):
            _ = 1 / 0
    with ExitStack() as stack:
        for _ in range(HALF):
            stack.enter_context(slots.hold(OURS))
        clock.now += LONG
        assert not has_room(slots, OURS)


WAITED = MAX_WAIT_SECONDS + 0.01


def is_refused(slots: ThreadSlots, organization: UUID, waited: float) -> bool:
    try:
        with slots.hold(organization, waited):
            return False
    except OrganizationFlooding:
        return True


def test_requests_that_wait_behind_their_own_organization_are_refused_beside_others(
    slots: ThreadSlots, clock: Clock
) -> None:
    with ExitStack() as stack:
        for _ in range(HALF):
            stack.enter_context(slots.hold(OURS))
        alone = is_refused(slots, OURS, WAITED)
        with slots.hold(THEIRS):
            pass
        beside = [is_refused(slots, OURS, waited) for waited in (MAX_WAIT_SECONDS, WAITED, WAITED)]
        theirs = is_refused(slots, THEIRS, WAITED)

        assert not alone
        assert beside == [False, True, True]
        assert not theirs, "they hold fewer than half of the threads"
    clock.now += WINDOW_SECONDS
    with ExitStack() as stack:
        for _ in range(HALF):
            stack.enter_context(slots.hold(OURS))

        assert not is_refused(slots, OURS, WAITED), "they are alone again"


def test_an_organization_that_holds_fewer_than_half_of_the_threads_waits_with_all(
    slots: ThreadSlots,
) -> None:
    with ExitStack() as stack:
        for organization in (OURS, THEIRS):
            for _ in range(HALF - 1):
                stack.enter_context(slots.hold(organization))

        assert not is_refused(slots, OURS, WAITED)
