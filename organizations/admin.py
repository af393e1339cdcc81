from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from organizations.actions import (
    reactivate_organization,
    set_person_active,
    suspend_organization,
    update_plan,
)
from organizations.admin_base import (
    OrganizationModelAdmin,
    chosen_organization,
    staff_actor,
)
from organizations.models import (
    AuditEvent,
    Invitation,
    Membership,
    Organization,
    User,
)

PLAN = (
    *("plan_tier", "max_agents", "max_tokens_per_month"),
    *("max_executions", "max_event_bytes", "max_file_bytes"),
)
CHANGEABLE = (Organization.Status.ACTIVE, Organization.Status.SUSPENDED)


class PlanForm(forms.ModelForm):
    status = forms.ChoiceField(choices=[(status.value, status.label) for status in CHANGEABLE])

    class Meta:
        model = Organization
        fields = (*PLAN, "status")


@admin.register(Organization)
class OrganizationAdmin(OrganizationModelAdmin):
    """The plan, its limits and the status, which tenants cannot change themselves."""

    organization_lookup = "pk"
    form = PlanForm
    list_display = ("name", "slug", "plan_tier", "max_agents", "max_tokens_per_month", "status")
    fields = (
        "name",
        "slug",
        *PLAN,
        "status",
        "signing_algorithm",
        "time_zone",
        "execution_retention_days",
        "created_at",
        "updated_at",
    )
    readonly_fields = (
        "name",
        "slug",
        "signing_algorithm",
        "time_zone",
        "execution_retention_days",
        "created_at",
        "updated_at",
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_changeable = obj is None or obj.status in CHANGEABLE
        permission = f"{self.opts.app_label}.change_{self.opts.model_name}"
        return is_changeable and request.user.has_perm(permission)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save by the actions, so that the organization's audit log records the change."""
        actor = staff_actor(request, obj)
        changed = {name: form.cleaned_data[name] for name in PLAN if name in form.changed_data}
        if changed:
            update_plan(obj, actor=actor, **changed)
        if "status" in form.changed_data:
            is_active = form.cleaned_data["status"] == Organization.Status.ACTIVE
            (reactivate_organization if is_active else suspend_organization)(obj, actor=actor)


class PersonForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ("is_active",)


@admin.register(User)
class UserAdmin(OrganizationModelAdmin):
    """The people of the chosen organization.

    Staff can deactivate an account, which ends it everywhere.
    """

    organization_lookup = "memberships__organization"
    form = PersonForm
    list_display = ("email", "name", "is_active", "last_login")
    search_fields = ("email", "name")
    fields = (
        "email",
        "email_verified_at",
        "username",
        "name",
        "is_active",
        "is_staff",
        "last_login",
        "created_at",
    )
    readonly_fields = tuple(name for name in fields if name != "is_active")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Staff accounts can be changed only on the command line."""
        is_changeable = obj is None or not obj.is_staff
        permission = f"{self.opts.app_label}.change_{self.opts.model_name}"
        return is_changeable and request.user.has_perm(permission)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        organization = chosen_organization(request)
        if organization is not None and "is_active" in form.changed_data:
            actor = staff_actor(request, organization)
            set_person_active(obj, form.cleaned_data["is_active"], actor=actor)


@admin.register(Membership)
class MembershipAdmin(OrganizationModelAdmin):
    list_display = ("user", "role", "created_at")
    list_select_related = ("user", "organization")
    search_fields = ("user__email",)
    fields = ("user", "organization", "role", "created_at")


@admin.register(Invitation)
class InvitationAdmin(OrganizationModelAdmin):
    list_display = ("email", "role", "status", "created_at", "expires_at")
    search_fields = ("email",)
    fields = ("email", "role", "status", "inviter_label", "created_at", "expires_at", "accepted_at")
    readonly_fields = ("status",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).backed()  # type: ignore[attr-defined]


@admin.register(AuditEvent)
class AuditEventAdmin(OrganizationModelAdmin):
    list_display = ("sequence", "occurred_at", "action", "outcome", "actor_label", "target_label")
    list_filter = ("outcome",)
    search_fields = ("action", "actor_label", "target_label")
    fields = (
        "sequence",
        "occurred_at",
        "action",
        "outcome",
        "actor_kind",
        "actor_id",
        "actor_label",
        "agent_id",
        "target_type",
        "target_id",
        "target_label",
        "ip_address",
        "user_agent",
        "request_id",
        "metadata",
        "previous_hash_text",
        "hash_text",
    )
    readonly_fields = ("previous_hash_text", "hash_text")

    @admin.display(description="Previous hash")
    def previous_hash_text(self, event: AuditEvent) -> str:
        return bytes(event.previous_hash).hex()

    @admin.display(description="Hash")
    def hash_text(self, event: AuditEvent) -> str:
        return bytes(event.hash).hex()
