"""Tables for errors counted by group and day, which triggers fill later (0035)."""

import django.db.models.deletion
from django.db import migrations, models

from organizations.tenancy.migration_operations import IsolateOrganizations


def organization():
    return models.ForeignKey(
        db_index=False,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to="organizations.organization",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0032_drop_partition"),
        ("organizations", "0022_partitions"),
    ]

    operations = [
        migrations.CreateModel(
            name="ErrorCount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        *("organization_id", "seconds", "property", "place"),
                        *("fingerprint", "value"),
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "seconds",
                    models.IntegerField(help_text="The length of the span; 0 for all time."),
                ),
                (
                    "property",
                    models.CharField(help_text="`all`, `user` or `agent`.", max_length=8),
                ),
                ("place", models.IntegerField(help_text="Spans (UTC) since 1970.")),
                ("fingerprint", models.CharField(max_length=40)),
                (
                    "value",
                    models.CharField(
                        blank=True,
                        help_text="The property's, as in ErrorChange.",
                        max_length=255,
                    ),
                ),
                ("errors", models.BigIntegerField()),
                ("organization", organization()),
            ],
        ),
        migrations.CreateModel(
            name="ErrorChange",
            fields=[
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("fingerprint", models.CharField(max_length=40)),
                ("day", models.IntegerField(help_text="Days (UTC) since 1970.")),
                (
                    "user_id",
                    models.UUIDField(help_text="The ExecutionUser of the execution, or zeros."),
                ),
                ("agent_name", models.CharField(max_length=255)),
                ("errors", models.BigIntegerField()),
                ("organization", organization()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organization", "number"], name="executions_error_change")
                ]
            },
        ),
        IsolateOrganizations("ErrorCount", has_id=False),
        IsolateOrganizations("ErrorChange", has_id=False),
    ]
