"""A check that hangs holds one thread: the others say so after a while."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from core.cached_checks import CachedCheck

CALLERS = 5


@pytest.mark.parametrize(("patience", "others"), [(0.0, "overdue"), (60.0, "done")])
def test_callers_wait_for_a_check_as_long_as_they_have_patience(
    patience: float, others: str
) -> None:
    has_begun, may_end = Event(), Event()

    def check() -> str:
        has_begun.set()
        assert may_end.wait(60)
        return "done"

    cached = CachedCheck(check, 60, patience=patience, overdue=lambda: "overdue")
    with ThreadPoolExecutor(CALLERS) as pool:
        first = pool.submit(cached)
        assert has_begun.wait(60)
        waiting = [pool.submit(cached) for _ in range(CALLERS - 1)]
        if others == "overdue":
            assert [each.result(60) for each in waiting] == [others] * len(waiting)
        may_end.set()

        assert first.result(60) == "done"
        assert [each.result(60) for each in waiting] == [others] * len(waiting)
    assert cached() == "done"


def test_a_check_that_fails_is_tried_again() -> None:
    answers = iter([ZeroDivisionError(), "done"])

    def check() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    cached = CachedCheck(check, 60, patience=1, overdue=lambda: "overdue")
    with pytest.raises(ZeroDivisionError):
        cached()

    assert cached() == "done"
