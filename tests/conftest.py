import pytest

from tests.tenants import Tenant


@pytest.fixture
def ours(db: None) -> Tenant:
    """The caller's organization."""
    return Tenant("northwind")


@pytest.fixture
def theirs(db: None) -> Tenant:
    """Another organization, whose data must never be shown."""
    return Tenant("contoso")
