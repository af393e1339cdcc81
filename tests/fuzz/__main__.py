"""Send requests generated from the OpenAPI document to our server, in all phases of Schemathesis
and with all checks: `python -m tests.fuzz [--seconds N] [--seed N] [OPTION ...]`.

Further options are passed to `schemathesis run`. The seed is printed; the same seed generates the
same requests.
"""

import argparse
import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.live.deployment import PROJECT, deployed

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SECONDS = 600


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--port", type=int, default=0)
    asked, options = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stop the server and database as well
    sys.stdout.write(f"Seed {asked.seed}\n")
    sys.stdout.flush()
    with deployed(durable=False, agents=1, port=asked.port, interface="wsgi") as deployment:
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIGURATION, "run"]
        command += [f"{deployment.url}/api/schema", "--url", deployment.url]
        command += ["--seed", str(asked.seed), "--max-time", str(asked.seconds), *options]
        environment = deployment.server.environment | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks"}
        done = subprocess.run(list(map(str, command)), cwd=PROJECT, env=environment)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
