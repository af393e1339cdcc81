"""A member who sees only their own runs."""

import pytest

from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership


@pytest.fixture
def viewer(organization: Organization) -> Membership:
    return make_membership(organization, "viewer")
