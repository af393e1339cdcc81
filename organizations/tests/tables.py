"""The tables of tenants."""

from django.apps import apps


def tables_with_an_organization() -> list[str]:
    """Every table with an organization, except those that are read before the tenant is known."""
    open_tables = {"organizations_membership", "organizations_principal"}
    return sorted(
        model._meta.db_table
        for model in apps.get_models()
        if any(field.name == "organization" for field in model._meta.fields)
        and model._meta.db_table not in open_tables
    )
