"""The checks of the demo before it starts anything; `make demo ARGS=--once` proves the rest."""

import socket

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from core.database_roles import as_owner
from organizations.tests.factories import make_organization


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


@pytest.mark.django_db(transaction=True)
def test_a_database_of_an_earlier_release_is_looked_at_before_anything_is_granted(settings):
    """In such a database the application's role owned everything, and may read nothing once
    ownership has moved.
    """
    settings.IS_DEMO = True
    make_organization("Somebody's")
    with as_owner(connection), connection.cursor() as cursor:
        cursor.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM agentidp_app")
    try:
        with pytest.raises(CommandError, match="nothing was changed"):
            call_command("demo", port=0, once=True)
    finally:
        call_command("migrate", verbosity=0)
