"""Startup checks, which must pass before the first request is served."""

from collections.abc import Sequence
from typing import Any

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import Error, Tags, Warning, register, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from core import database_roles, protection, role_checks
from core.role_settings import kept_settings


@register(Tags.database)
def database_role_is_plain(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[Error]:
    """Row-level security does not bind a superuser or a role with BYPASSRLS, and database rules do
    not bind the owner of their tables."""
    if not kwargs.get("databases"):
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute(role_checks.IS_ABOVE_ALL)
            is_privileged = cursor.fetchone()[0]
            more = [] if database_roles.is_owner(connection) else role_checks.excess(cursor)
            cursor.execute("SELECT current_user")
            role = cursor.fetchone()[0]
    except DatabaseError as error:
        reason = " ".join(str(error).split())  # libpq's messages can have several lines
        return [Error(f"The database cannot be reached: {reason}", id="agentidp.E001")]
    if is_privileged:
        return [
            Error(
                "The database role is a superuser or may bypass row-level security.",
                hint="Connect as a role made with: CREATE ROLE … LOGIN NOSUPERUSER NOBYPASSRLS",
                id="agentidp.E002",
            )
        ]
    if more:
        summary = role_checks.in_one_sentence(role, more)
        return [
            Error(
                f"{summary} It must have the rights that it needs and no others: another role owns "
                f"and migrates the database. {database_roles.HOW_TO}",
                id="agentidp.E003",
            )
        ]
    return []


@register
def file_storage_is_configured(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[Warning]:
    """Warn only: tokens and pages work without file storage."""
    from executions.file_storage import storage_problem

    if problem := storage_problem():
        return [Warning(f"Files cannot be stored. {problem}", id="agentidp.W001")]
    return []


def refuse_unsafe_start() -> None:
    """Raise ImproperlyConfigured, with one sentence, if the database is not fit to serve."""
    for message in run_checks(tags=[Tags.database], databases=["default"]):
        if message.is_serious():
            raise ImproperlyConfigured(message.msg)
    if settings.IS_PRODUCTION and settings.KNOWS_OWNER:
        raise ImproperlyConfigured(
            "AGENTIDP_DATABASE_OWNER_URL is set. Set it for `manage.py "
            "migrate` only: a server must not be able to become the owner of "
            "the database."
        )
    if settings.IS_PRODUCTION and settings.DATABASE_BACKUP:
        raise ImproperlyConfigured(
            "AGENTIDP_DATABASE_BACKUP_URL is set. Set it for `manage.py "
            "backup` only: a server must not be able to bypass row-level "
            "security."
        )
    with connection.cursor() as cursor:  # first, because they can hide everything else
        if problems := kept_settings(cursor):
            raise ImproperlyConfigured(protection.in_one_line(problems))
    if unapplied_migrations():
        raise ImproperlyConfigured("Migrations are not applied. Run: python manage.py migrate")
    with connection.cursor() as cursor:
        if problems := protection.unprotected(cursor):
            raise ImproperlyConfigured(protection.in_one_line(problems))
        if less := role_checks.missing(cursor):
            summary = role_checks.in_one_sentence(settings.DATABASE_ROLE, less)
            raise ImproperlyConfigured(f"{summary} Run: python manage.py migrate")
    connection.close()


def unapplied_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def newer_migrations() -> bool:
    """Whether a newer release has migrated this database."""
    loader = MigrationExecutor(connection).loader
    return any(
        label in loader.migrated_apps and (label, name) not in loader.disk_migrations
        for label, name in loader.applied_migrations
    )
