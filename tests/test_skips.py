"""In continuous integration, where everything is installed, a skipped test is a failure."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.conf import settings

SKIPPED = """
import pytest

def test_of_something_absent():
    pytest.skip("it is not installed")
"""


@pytest.mark.parametrize(("ci", "closing"), [("true", "1 failed"), ("", "1 skipped")])
def test_a_skip_fails_in_continuous_integration(ci: str, closing: str) -> None:
    ignored = settings.BASE_DIR / ".data"
    ignored.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=ignored) as folder:
        file = Path(folder) / "test_skipped.py"
        file.write_text(SKIPPED)

        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file],
            cwd=settings.BASE_DIR,
            env=os.environ | {"CI": ci},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.stdout.splitlines()[-1].startswith(closing), done.stdout + done.stderr
