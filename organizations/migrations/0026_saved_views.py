"""Views of lists that people save under a name."""

import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import core.ids
from organizations.tenancy.migration_operations import IsolateOrganizations


class Migration(migrations.Migration):
    dependencies = [
        ("organizations", "0025_attempts_of_any_size"),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedView",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "list",
                    models.CharField(
                        choices=[
                            ("executions", "Runs"),
                            ("errors", "Errors"),
                            ("requests", "Requests"),
                            ("audit", "Audit"),
                        ],
                        max_length=16,
                    ),
                ),
                ("name", models.CharField(max_length=60)),
                (
                    "query",
                    models.CharField(
                        blank=True, help_text="The query of the list's URL.", max_length=2000
                    ),
                ),
                (
                    "density",
                    models.CharField(
                        blank=True,
                        choices=[("comfortable", "comfortable"), ("compact", "compact")],
                        help_text="The height of rows; empty for that which each person has chosen.",
                        max_length=16,
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
                (
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        help_text="Who alone sees it; empty if it is shared.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="StartView",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "list",
                    models.CharField(
                        choices=[
                            ("executions", "Runs"),
                            ("errors", "Errors"),
                            ("requests", "Requests"),
                            ("audit", "Audit"),
                        ],
                        max_length=16,
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
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "view",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="starts",
                        to="organizations.savedview",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(
                models.F("organization"),
                models.F("owner"),
                models.F("list"),
                django.db.models.functions.text.Lower("name"),
                condition=models.Q(("owner__isnull", False)),
                name="organizations_savedview_own_name",
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(
                models.F("organization"),
                models.F("list"),
                django.db.models.functions.text.Lower("name"),
                condition=models.Q(("owner", None)),
                name="organizations_savedview_shared_name",
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.CheckConstraint(
                condition=models.Q(("list__in", ["executions", "errors", "requests", "audit"])),
                name="organizations_savedview_list_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.CheckConstraint(
                condition=models.Q(("density__in", ["", "comfortable", "compact"])),
                name="organizations_savedview_density_valid",
            ),
        ),
        migrations.AddIndex(
            model_name="startview",
            index=models.Index(
                fields=["organization", "view"], name="organizations_startview_view"
            ),
        ),
        migrations.AddConstraint(
            model_name="startview",
            constraint=models.UniqueConstraint(
                fields=("organization", "user", "list"), name="organizations_startview_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="startview",
            constraint=models.CheckConstraint(
                condition=models.Q(("list__in", ["executions", "errors", "requests", "audit"])),
                name="organizations_startview_list_valid",
            ),
        ),
        IsolateOrganizations("SavedView"),
        IsolateOrganizations("StartView", references={"view": "organizations.SavedView"}),
    ]
