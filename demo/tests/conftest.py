"""A demonstration of fewer days: its rules are those of ninety."""

from collections.abc import Iterator

import pytest

from demo import runs, traffic


@pytest.fixture(scope="package", autouse=True)
def fewer_days() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traffic, "DAYS", 30)
        patch.setattr(runs, "DAYS", 10)
        yield
