"""Only so many threads wait for a bucket, and none of them for one that is slow."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from agentidp.tests.waiting import until
from executions import bucket_deadlines
from executions.bucket_deadlines import BucketIsSlow, BucketSlots

NEVER = 1e6


@pytest.fixture
def slots() -> BucketSlots:
    return BucketSlots(1)


def take(slots: BucketSlots) -> bool:
    with slots.hold():
        return True


@contextmanager
def taking(slots: BucketSlots) -> Iterator["Future[bool]"]:
    """Let another thread take the slot, which is held during the block."""
    with ThreadPoolExecutor(1) as pool, slots.hold():
        yield pool.submit(take, slots)


def test_a_thread_waits_for_a_slot_until_one_is_free(
    slots: BucketSlots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_deadlines, "SLOW_AFTER", NEVER)
    monkeypatch.setattr(bucket_deadlines, "MAX_WAIT_SECONDS", NEVER)

    with taking(slots) as other:
        assert until(lambda: len(slots._freed._waiters) == 1)  # type: ignore[attr-defined]
        assert not other.done()

    assert other.result() is True


@pytest.mark.parametrize(
    "limits",
    [
        {"SLOW_AFTER": 0.0, "MAX_WAIT_SECONDS": NEVER},
        {"SLOW_AFTER": NEVER, "MAX_WAIT_SECONDS": 0.01},
    ],
    ids=["while a request is slow", "for too long"],
)
def test_nobody_waits(
    slots: BucketSlots, monkeypatch: pytest.MonkeyPatch, limits: dict[str, float]
) -> None:
    for name, seconds in limits.items():
        monkeypatch.setattr(bucket_deadlines, name, seconds)

    with taking(slots) as other, pytest.raises(BucketIsSlow):
        other.result(timeout=60)


def test_a_thread_holds_one_slot_however_often_it_asks(slots: BucketSlots) -> None:
    with slots.hold() as outer, slots.hold() as inner:
        assert inner is outer
    assert take(slots)
