import pytest

from tests.tenants import Tenant


@pytest.fixture
def ours(db: None) -> Tenant:
    """The caller's organization."""
    return Tenant("northwind")


@pytest.fixture
def theirs(db: None) -> Tenant:
    """Another organization, nothing of which may ever show."""
    return Tenant("contoso")
