"""The benchmarks run, compare equal results, and take only what they should for a result."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from benchmarks.__main__ import ROWS, Row, command, main, missing
from benchmarks.circumstances import measured
from benchmarks.executions import Taken, print_growth
from benchmarks.real_tokens import check_token

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "benchmarks" / "README.md").read_text()


def run_small(name: str, *options: str) -> str:
    """Run the benchmark with --small; return its output."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--small", *options],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_rollups_equal_a_recount_of_twenty_thousand_events() -> None:
    printed = run_small("analytics", "--no-duckdb")

    assert "rollup rows that differ from a recount: 0" in printed
    assert "| month table |" in printed
    assert "| 5,000 to 20,000 events: growth |" in printed


@pytest.mark.slow
def test_a_hundred_executions_are_imported_and_nothing_of_them_again() -> None:
    # The script exits with an error if the import is not complete and exact.
    printed = run_small("import_kodosumi")

    assert "| first import |" in printed
    assert "| import with nothing new |" in printed


class Endpoint(ThreadingHTTPServer):
    """A token endpoint that signs with one key and publishes another, or the same."""

    def __init__(self, signing: ECKey, published: ECKey) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        header = {"alg": "ES256", "kid": signing.kid}
        self.token = jwt.encode(header, {"sub": "agent"}, signing)
        self.keys = [published.as_dict(private=False)]


class Answers(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        self.answer({"keys": self.server.keys})

    def do_POST(self) -> None:
        self.answer({"access_token": self.server.token})

    def answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Write nothing."""


def new_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"})


@pytest.fixture
def endpoints() -> Iterator[Any]:
    started: list[Endpoint] = []

    def start(signing: ECKey, published: ECKey) -> int:
        server = Endpoint(signing, published)
        started.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return int(server.server_address[1])

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def check(port: int, folder: Path, algorithm: str = "ES256") -> dict[str, Any]:
    clients = folder / "clients"
    clients.write_text("aWQ6c2VjcmV0\n")
    return check_token(
        port, "/token", "/jwks", clients=clients, host="id.example.com", algorithm=algorithm
    )


def test_a_token_counts_if_it_verifies_with_a_published_key(endpoints: Any, tmp_path: Path) -> None:
    key = new_key("one")

    assert check(endpoints(key, key), tmp_path) == {"sub": "agent"}


@pytest.mark.parametrize("published", ["one", "two"])
def test_a_token_of_another_key_does_not_count(
    endpoints: Any, tmp_path: Path, published: str
) -> None:
    port = endpoints(new_key("one"), new_key(published))

    with pytest.raises(SystemExit, match="a published key"):
        check(port, tmp_path)


def test_a_token_of_another_algorithm_does_not_count(endpoints: Any, tmp_path: Path) -> None:
    key = new_key("one")

    with pytest.raises(SystemExit, match="not a token by RS256"):
        check(endpoints(key, key), tmp_path, algorithm="RS256")


def test_a_result_says_of_what_and_when_it_is() -> None:
    line = measured(3, [0.02, 0.5, 0.04])

    assert re.match(r"measured: commit [0-9a-f]{12}( and changes)?, \d{4}-\d\d-\d\d ", line)
    assert "3 rounds" in line
    assert "other load 4% (highest 50%)" in line


def test_growth_is_judged_only_if_time_and_processor_time_both_grow(
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = Taken(wall=[10.0], cpu=[10.0])

    print_growth(
        {
            "grown": {1: small, 2: Taken(wall=[14.0], cpu=[14.0])},
            "disturbed": {1: small, 2: Taken(wall=[30.0], cpu=[11.0])},
        }
    )

    grown, disturbed = capsys.readouterr().out.splitlines()[-2:]
    assert grown.endswith("| 1.40, 1.40 | above 1.3 |")
    assert disturbed.endswith("| 3.00, 1.10 |  |")


@pytest.mark.parametrize("name", ROWS)
def test_the_command_of_a_row_is_one_that_its_script_understands(name: str) -> None:
    class Options:
        small, first, port = True, True, 3160

    arguments = command(ROWS[name], Options())  # type: ignore[arg-type]

    done = subprocess.run(
        [*arguments, "--help"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    known = set(re.findall(r"--[a-z-]+", done.stdout))
    assert {word for word in arguments if word.startswith("--")} <= known


def test_a_row_that_lacks_a_program_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Row("of nothing", "nothing", programs=("no-such-program",))
    monkeypatch.setitem(ROWS, "nothing", row)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "nothing"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert missing(row) == "no-such-program"
    assert not ended.value.code
    assert "not run: this machine lacks no-such-program" in capsys.readouterr().out


def test_the_readme_lists_every_row_and_file() -> None:
    files = {
        path.name for path in (PROJECT / "benchmarks").glob("*.*") if path.suffix in {".py", ".lua"}
    }

    listed = set(re.findall(r"^\| `([\w.]+)`", README, re.MULTILINE))

    assert {*files, *ROWS} - {"__init__.py", "README.md"} <= listed
