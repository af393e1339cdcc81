from __future__ import annotations

from django.db import models

from core.text import NormalizedCharField
from executions.models.execution import Execution
from organizations.models import Organization, OrganizationScopedModel, OrganizationScopedQuerySet


class ExecutionFile(OrganizationScopedModel):
    """A file given to an execution (`in`) or made by it (`out`)."""

    class Area(models.TextChoices):
        IN = "in", "Uploaded"
        OUT = "out", "Made"

    execution = models.ForeignKey(
        Execution,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    area = models.CharField(max_length=3, choices=Area)
    path = NormalizedCharField(
        max_length=1024, help_text="The path inside the area, with `/` between folders."
    )
    size = models.PositiveBigIntegerField()
    last_modified = models.FloatField()
    content = models.FileField(
        max_length=200,
        help_text=(
            "The storage key. It consists of ids only, so that no user's words reach the storage."
        ),
    )

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "execution", "area", "path"], name="executions_file_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(area__in=["in", "out"]), name="executions_file_area_valid"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.area}/{self.path}"

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Upload(OrganizationScopedModel):
    """A file that arrives in parts; it becomes an ExecutionFile once the last part has arrived."""

    execution = models.ForeignKey(
        Execution,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    area = models.CharField(max_length=3, choices=ExecutionFile.Area)
    path = NormalizedCharField(max_length=1024)
    size = models.PositiveBigIntegerField(help_text="Size of the whole file in bytes.")

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["organization", "created_at"], name="executions_upload_old")
        ]

    def __str__(self) -> str:
        return f"{self.area}/{self.path}"


class UploadPart(models.Model):
    """Part of an upload, kept in the database, which all web processes share."""

    pk = models.CompositePrimaryKey("organization_id", "upload_id", "offset")
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    upload = models.ForeignKey(
        Upload, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    offset = models.PositiveBigIntegerField()
    content = models.BinaryField()

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["offset"]

    def __str__(self) -> str:
        return f"{self.upload_id} from {self.offset}"
