from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from executions.models import Execution
from organizations.admin_base import OrganizationModelAdmin


@admin.register(Execution)
class ExecutionAdmin(OrganizationModelAdmin):
    """Executions without their inputs and results, which staff may not see."""

    list_display = ("fid", "agent_name", "status", "started_at", "ended_at", "source")
    list_filter = ("status", "source")
    list_select_related = ("agent", "user")
    search_fields = ("fid", "agent_name")
    fields = (
        "fid",
        "source",
        "agent",
        "agent_name",
        "credential",
        "user",
        "status",
        "started_at",
        "ended_at",
        "error",
        "last_sequence",
        "upload_count",
        "download_count",
        "input_tokens",
        "output_tokens",
        "cost",
        "lease_generation",
        "lease_expires_at",
        "created_at",
    )
    readonly_fields = ("started_at", "ended_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("inputs", "final", "meta", "open_locks")
