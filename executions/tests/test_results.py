"""The facts shown beside a run's result."""

import pytest

from executions.results import clock


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "00:00:00.0"),
        (59.94, "00:00:59.9"),
        (59.95, "00:01:00.0"),
        (3599.96, "01:00:00.0"),
        (360_000, "100:00:00.0"),
    ],
)
def test_a_runtime_never_has_sixty_seconds(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
