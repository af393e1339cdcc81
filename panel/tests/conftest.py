"""Somebody who sees their own runs only."""

import pytest

from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership


@pytest.fixture
def viewer(organization: Organization) -> Membership:
    return make_membership(organization, "viewer")
