"""Answers to requests with an Idempotency-Key, kept for a day."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import core.ids
from organizations.tenancy.migration_operations import IsolateOrganizations


class Migration(migrations.Migration):
    dependencies = [("organizations", "0011_storage_limits")]

    operations = [
        migrations.CreateModel(
            "AnsweredRequest",
            [
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "principal_id",
                    models.UUIDField(help_text="Who asked. Another one's keys are other keys."),
                ),
                ("key", models.CharField(max_length=255)),
                ("digest", models.BinaryField(help_text="Of what was asked.", max_length=32)),
                ("status", models.PositiveSmallIntegerField(default=0)),
                (
                    "body",
                    models.TextField(
                        blank=True, help_text="JSON, without the secret that it showed."
                    ),
                ),
                (
                    "secret_field",
                    models.CharField(
                        blank=True,
                        help_text="The field of the secret that the answer showed.",
                        max_length=64,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="organizations.organization",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["organization", "created_at"], name="organizations_answered_age"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "principal_id", "key"),
                        name="organizations_answeredrequest_unique",
                    )
                ],
            },
        ),
        IsolateOrganizations("AnsweredRequest"),
    ]
