"""A data folder of kodosumi."""

from pathlib import Path

import pytest

from tests.spooler import (
    new_data,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return new_data(tmp_path / "data")
