"""A run that reports all hostile output, a hostile deployment that was imported, and a browser that
could reach the foreign hosts.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from agentidp.devtools.bootstrap_tools import find_browser
from core.tests.certificates import make_certificate
from executions.tests.vectors import FOREIGN
from tests.browser.conftest import manage
from tests.browser.engine import Engine
from tests.browser.hostile.detectors import Canary
from tests.browser.hostile.output import (
    NUMBERED,
    Reported,
    report,
    write_deployment,
    write_enormous,
)


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    certificate = tmp_path_factory.mktemp("canary") / "certificate.pem"
    certificate.write_bytes(b"".join(make_certificate(FOREIGN)))
    found = Canary(certificate)
    yield found
    found.close()


@pytest.fixture(scope="module")
def exposed(chromium: Browser, canary: Canary) -> Iterator[Browser]:
    """A browser that can reach the foreign hosts."""
    browser = chromium.browser_type.launch(
        executable_path=find_browser() or None, args=["--no-sandbox", *canary.arguments]
    )
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def reported(engine: Engine) -> Reported:
    return report(engine)


@pytest.fixture(scope="session")
def imported(base_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import all executions of a hostile deployment, and an enormous one."""
    folder = write_deployment(tmp_path_factory.mktemp("hostile") / "data")
    write_enormous(folder)
    said = manage("import_kodosumi", str(folder), "--organization", "northwind-labs")
    assert f"{len(NUMBERED) + 1} new" in said
