from collections.abc import Iterator

import psycopg
import pytest

from tests.partitions import months_apart
from tests.tenants import Tenant


@pytest.fixture
def ours(db: None) -> Tenant:
    """The caller's organization."""
    return Tenant("northwind")


@pytest.fixture
def theirs(db: None) -> Tenant:
    """Another organization, whose data must never be shown."""
    return Tenant("contoso")


@pytest.fixture
def past(owner: psycopg.Connection) -> Iterator[None]:
    """Partitioned tables have partitions of their own for this month and the six before it."""
    yield from months_apart(owner)
