"""Events and errors may outlast their execution for a while, until the worker has deleted them."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import core.ids
from organizations.tenancy.migration_operations import IsolateOrganizations

UNBOUND = """
ALTER TABLE executions_executionevent
    DROP CONSTRAINT executions_executionevent_execution_organization_fk;
ALTER TABLE executions_executionerror
    DROP CONSTRAINT executions_executionerror_execution_organization_fk
"""
BOUND = """
ALTER TABLE executions_executionevent
    ADD CONSTRAINT executions_executionevent_execution_organization_fk
    FOREIGN KEY (organization_id, execution_id)
    REFERENCES executions_execution (organization_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE executions_executionerror
    ADD CONSTRAINT executions_executionerror_execution_organization_fk
    FOREIGN KEY (organization_id, execution_id)
    REFERENCES executions_execution (organization_id, id) DEFERRABLE INITIALLY DEFERRED
"""


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0024_runtimes_before"),
        ("organizations", "0019_help_texts"),
    ]

    operations = [
        migrations.AlterField(
            model_name="executionerror",
            name="execution",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="executions.execution",
            ),
        ),
        migrations.AlterField(
            model_name="executionevent",
            name="execution",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="executions.execution",
            ),
        ),
        migrations.CreateModel(
            name="UnfinishedDeletion",
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
                ("last_sequence", models.PositiveIntegerField(help_text="That of the execution.")),
                (
                    "emptied_to",
                    models.PositiveIntegerField(
                        default=0,
                        help_text=(
                            "Rows up to this sequence number are deleted. The next ones are found "
                            "without passing over what PostgreSQL keeps of those until it cleans up."
                        ),
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
                "abstract": False,
            },
        ),
        IsolateOrganizations("UnfinishedDeletion"),
        migrations.RunSQL(UNBOUND, BOUND),
    ]
