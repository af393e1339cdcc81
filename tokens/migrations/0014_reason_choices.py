from django.db import migrations, models

REASONS = [
    ("unknown_client", "Unknown client id"),
    ("wrong_secret", "Wrong secret"),
    ("credential_revoked", "Credential revoked"),
    ("credential_expired", "Credential expired"),
    ("secret_rotated", "Secret rotated out"),
    ("agent_suspended", "Agent suspended"),
    ("agent_decommissioned", "Agent decommissioned"),
    ("organization_suspended", "Organization suspended"),
    ("scope_not_allowed", "Scope not allowed"),
    ("resource_not_allowed", "Resource not allowed"),
    ("monthly_limit", "Monthly limit reached"),
]


class Migration(migrations.Migration):
    dependencies = [("tokens", "0013_known_secret")]

    operations = [
        migrations.AlterField(
            "tokenevent",
            "reason",
            models.CharField(blank=True, choices=REASONS, max_length=32),
        )
    ]
