from django.contrib import admin

from agents.models import Agent
from organizations.admin_base import OrganizationModelAdmin


@admin.register(Agent)
class AgentAdmin(OrganizationModelAdmin):
    list_display = ("email", "agent_type", "version", "owner", "deployment_env", "status")
    list_filter = ("status", "agent_type", "deployment_env")
    search_fields = ("email", "owner")
    fields = (
        "id",
        "email",
        "agent_type",
        "version",
        "capabilities",
        "owner",
        "deployment_env",
        "runbook_url",
        "status",
        "scopes",
        "is_public",
        "created_at",
        "updated_at",
        "decommissioned_at",
    )
