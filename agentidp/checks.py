"""Safe start (O14): what must be true before the first request is served."""

from collections.abc import Sequence
from typing import Any

from django.apps.config import AppConfig
from django.core.checks import Error, Tags, register, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor


@register(Tags.database)
def database_role_is_plain(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[Error]:
    """Row-level security binds neither a superuser nor a role with BYPASSRLS."""
    if not kwargs.get("databases"):
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
            )
            is_privileged = cursor.fetchone()[0]
    except DatabaseError as error:
        reason = " ".join(str(error).split())  # libpq writes more than one line
        return [Error(f"The database cannot be reached: {reason}", id="agentidp.E001")]
    if is_privileged:
        return [
            Error(
                "The database role is a superuser or may bypass row-level security.",
                hint="Connect as a role made with: CREATE ROLE … LOGIN NOSUPERUSER NOBYPASSRLS",
                id="agentidp.E002",
            )
        ]
    return []


def refuse_unsafe_start() -> None:
    """Raise ImproperlyConfigured with one sentence when the database is not fit to serve."""
    for message in run_checks(tags=[Tags.database], databases=["default"]):
        if message.is_serious():
            raise ImproperlyConfigured(message.msg)
    if unapplied_migrations():
        raise ImproperlyConfigured("Migrations are not applied. Run: python manage.py migrate")
    connection.close()


def unapplied_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
