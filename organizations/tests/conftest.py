"""A mail server for tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from organizations.tests.smtp import Mailbox, mail_server


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    with mail_server(settings) as mailbox:
        yield mailbox
