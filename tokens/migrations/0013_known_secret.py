import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tokens", "0012_secrets_in_grace")]

    operations = [
        migrations.CreateModel(
            name="KnownSecret",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(help_text="The setting that holds it.", max_length=64),
                ),
                ("mac", models.BinaryField(max_length=32)),
                ("since", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "everywhere_since",
                    models.DateTimeField(
                        help_text="When the operator said that all processes use it.", null=True
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("name", "mac"), name="tokens_knownsecret_unique"
                    )
                ],
            },
        ),
    ]
