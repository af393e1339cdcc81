from collections.abc import Iterator

import pytest

from tests.live.deployment import Deployment, deployed, is_free

SEED_PORT = 3000


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """A deployment shared by all read-only tests, if possible on the port in the documentation."""
    with deployed(durable=False, agents=3, port=SEED_PORT if is_free(SEED_PORT) else 0) as running:
        yield running
