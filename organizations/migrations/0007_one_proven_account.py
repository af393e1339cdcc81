"""An address belongs to one account that proved it; others may have it unproven."""

import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("organizations", "0006_fill_proven_addresses")]

    operations = [
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("email"),
                condition=models.Q(("email_verified_at__isnull", False)),
                name="organizations_user_verified_email_unique",
            ),
        ),
        migrations.RemoveConstraint(
            model_name="user",
            name="organizations_user_email_unique",
        ),
    ]
