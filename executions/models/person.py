from __future__ import annotations

from django.db import models

from core.text import NormalizedCharField, NormalizedEmailField
from organizations.models import OrganizationScopedModel, OrganizationScopedQuerySet, User


class ExecutionUser(OrganizationScopedModel):
    """A person as executions refer to them: a member, or a user of the system they came from.

    The row outlives the membership, so that executions keep a name.
    """

    external_id = models.UUIDField(
        help_text=("The public id: the member's, or the person's id in the imported system.")
    )
    name = NormalizedCharField(max_length=150)
    email = NormalizedEmailField(max_length=254, blank=True)
    user = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "external_id"], name="executions_user_unique"
            ),
        ]
        indexes = [models.Index(fields=["organization", "user"], name="executions_user_member")]

    def __str__(self) -> str:
        return self.name
