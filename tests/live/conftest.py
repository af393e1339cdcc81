from collections.abc import Iterator

import pytest

from tests.live.deployment import Deployment, deployed, is_free

SEED_PORT = 3000


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """One for all tests that only ask. On the port that the seeds show, unless it is taken."""
    with deployed(durable=False, agents=3, port=SEED_PORT if is_free(SEED_PORT) else 0) as running:
        yield running
