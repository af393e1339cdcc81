"""The pages of the admin, as tests call them."""

from typing import Any

from django.contrib import admin
from django.test import Client
from django.urls import reverse

from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope

MODELS = sorted(admin.site._registry.items(), key=lambda item: item[0].__name__)
PLAN = {"plan_tier": "pro", "max_agents": "7", "max_tokens_per_month": "", "status": "active"}


def choose(client: Client, organization: Organization, **more: str) -> Any:
    return client.post("/admin/organization", {"organization": organization.pk} | more)


def actions_in(organization: Organization) -> list[tuple[str, str, str]]:
    with organization_scope(organization):
        return list(
            AuditEvent.objects.in_order().values_list("action", "actor_kind", "actor_label")
        )


def address(model: type, page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)
