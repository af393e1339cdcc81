"""What the demo refuses before it starts anything; `make demo ARGS=--once` proves the rest."""

import socket

import pytest
from django.core.management import CommandError, call_command


@pytest.mark.parametrize("host", ["192.0.2.7", "::", "0", "example.com", ""])
def test_the_demo_listens_on_this_machine_alone(settings, host):
    settings.IS_DEMO = True

    with pytest.raises(CommandError, match=r"127\.0\.0\.1"):
        call_command("demo", host=host)


def test_the_demo_does_not_start_with_other_settings_than_its_own(settings):
    settings.IS_DEMO = False

    with pytest.raises(CommandError, match=r"manage\.py demo"):
        call_command("demo")


def test_a_taken_port_is_named_with_a_way_out(settings):
    settings.IS_DEMO = True
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(CommandError, match=f"Port {port} .*--port={port + 1}"):
            call_command("demo", port=port)
