"""Resolved groups of errors; and the database's clock says when an error was received, so that what
came after a resolution is told by one clock.

Servers of the earlier release go on writing errors with their own clock until they are replaced.
"""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models
from django.db.models.functions import Now

import core.ids
from organizations.tenancy.migration_operations import IsolateOrganizations


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0040_received_index"),
        ("organizations", "0026_saved_views"),
    ]

    operations = [
        migrations.CreateModel(
            name="ErrorResolution",
            fields=[
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
                    "fingerprint",
                    models.CharField(help_text="The group's, as in ExecutionError.", max_length=40),
                ),
                (
                    "resolved_at",
                    models.DateTimeField(
                        help_text=(
                            "By the clock of the database, as ExecutionError.created_at, for "
                            "comparison."
                        )
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500)),
                ("actor_kind", models.CharField(max_length=16)),
                ("actor_id", models.UUIDField(null=True)),
                (
                    "actor_label",
                    models.CharField(
                        help_text="Who resolved it, as in the audit log.", max_length=255
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
                "constraints": [
                    models.UniqueConstraint(
                        fields=["organization", "fingerprint"], name="executions_resolution_unique"
                    )
                ]
            },
        ),
        IsolateOrganizations("ErrorResolution"),
        migrations.AlterField(
            model_name="executionerror",
            name="created_at",
            field=models.DateTimeField(
                db_default=Now(),
                editable=False,
                help_text="When it was received, by the database's clock.",
            ),
        ),
    ]
