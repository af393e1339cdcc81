"""Findings that a person snoozed."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import core.ids
from organizations.tenancy.migration_operations import IsolateOrganizations


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0012_token_generation"),
        ("analytics", "0005_count_times"),
        ("organizations", "0026_saved_views"),
        ("tokens", "0033_wider_networks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="FindingSnooze",
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
                    "kind",
                    models.CharField(
                        choices=[
                            ("token_spike", "token_spike"),
                            ("silent_day", "silent_day"),
                            ("credential_expiring", "credential_expiring"),
                            ("refusals_rising", "refusals_rising"),
                            ("dominant_agent", "dominant_agent"),
                            ("credential_unused", "credential_unused"),
                            ("credential_expired", "credential_expired"),
                        ],
                        max_length=32,
                    ),
                ),
                (
                    "day",
                    models.DateField(
                        help_text="The day of a finding that is about one, in UTC.", null=True
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[("bad", "bad"), ("warn", "warn")],
                        help_text="Of the finding at the time.",
                        max_length=8,
                    ),
                ),
                ("message", models.CharField(help_text="The finding at the time.", max_length=300)),
                ("reason", models.CharField(max_length=200)),
                ("until", models.DateTimeField()),
                (
                    "agent",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="agents.agent",
                    ),
                ),
                (
                    "credential",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tokens.credential",
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
                    "snoozed_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "kind", "agent", "credential", "day"),
                        name="analytics_findingsnooze_unique",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "kind__in",
                                (
                                    "token_spike",
                                    "silent_day",
                                    "credential_expiring",
                                    "refusals_rising",
                                    "dominant_agent",
                                    "credential_unused",
                                    "credential_expired",
                                ),
                            )
                        ),
                        name="analytics_findingsnooze_kind_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("severity__in", ["bad", "warn"])),
                        name="analytics_findingsnooze_severity_valid",
                    ),
                ],
            },
        ),
        IsolateOrganizations(
            "FindingSnooze",
            references={"agent": "agents.Agent", "credential": "tokens.Credential"},
        ),
    ]
