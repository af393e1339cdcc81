"""The migration operation that isolates tenants in PostgreSQL."""

from collections.abc import Mapping

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


class IsolateOrganizations(Operation):
    """Force row-level security on a tenant table and tie its references to the same organization.

    `references` maps a field to the model it points to: `{"agent": "agents.Agent"}`. The reference
    becomes a composite foreign key, because a plain one ignores row-level security and would both
    accept another organization's row and reveal that it exists.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(
        self, model_name: str, references: Mapping[str, str] | None = None, has_id: bool = True
    ) -> None:
        self.model_name = model_name
        self.references = dict(references or {})
        self.has_id = has_id

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Nothing to do: the models stay the same."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        table = model._meta.db_table
        own = "NULLIF(current_setting('app.organization_id', true), '')::uuid"
        schema_editor.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
        schema_editor.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
        schema_editor.execute(
            f'CREATE POLICY organization_isolation ON "{table}" '
            f"USING (organization_id = {own}) WITH CHECK (organization_id = {own})"
        )
        if self.has_id:
            schema_editor.execute(
                f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_organization_key" '
                "UNIQUE (organization_id, id)"
            )
        for field_name, target in self.references.items():
            column = model._meta.get_field(field_name).column
            target_table = to_state.apps.get_model(target)._meta.db_table
            schema_editor.execute(
                f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_{field_name}_organization_fk" '
                f'FOREIGN KEY (organization_id, "{column}") '
                f'REFERENCES "{target_table}" (organization_id, id) DEFERRABLE INITIALLY DEFERRED'
            )

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        table = from_state.apps.get_model(app_label, self.model_name)._meta.db_table
        for field_name in self.references:
            schema_editor.execute(
                f'ALTER TABLE "{table}" DROP CONSTRAINT "{table}_{field_name}_organization_fk"'
            )
        if self.has_id:
            schema_editor.execute(
                f'ALTER TABLE "{table}" DROP CONSTRAINT "{table}_organization_key"'
            )
        schema_editor.execute(f'DROP POLICY organization_isolation ON "{table}"')
        schema_editor.execute(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY')
        schema_editor.execute(f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY')

    def describe(self) -> str:
        return f"Isolate the organizations' rows of {self.model_name}"
