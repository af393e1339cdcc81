"""Real servers, asked from outside.

Only here do tests compare times, because only time tells from outside whether one request waited
for another. A limit lies far below what the waiting would take, which is a timeout of the product
or the end of a flood, and not near what a fast machine needs.
"""

from collections.abc import Iterator

import pytest

from tests.live.deployment import Deployment, deployed, is_free

SEED_PORT = 3000


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """A deployment shared by all read-only tests, if possible on the port in the documentation."""
    with deployed(durable=False, agents=3, port=SEED_PORT if is_free(SEED_PORT) else 0) as running:
        yield running
