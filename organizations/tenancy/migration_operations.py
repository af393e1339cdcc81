"""Migration operations that build the second wall, in PostgreSQL itself."""

from collections.abc import Mapping

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunSQL
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
        """The state of the models does not change."""

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


NORMALIZE = """
UPDATE "{table}" t SET "{column}" = normalize(t."{column}")
WHERE t."{column}" IS NOT NFC NORMALIZED"""
NORMALIZE_UNIQUE = """
    AND NOT EXISTS (SELECT 1 FROM "{table}" other WHERE other.id <> t.id AND ({unique})
        AND lower(normalize(other."{column}")) = lower(normalize(t."{column}")))"""
IN_EACH_ORGANIZATION = """
FOR organization IN SELECT id FROM organizations_organization LOOP
    PERFORM set_config('app.organization_id', organization::text, true);
    {changes}
END LOOP;
PERFORM set_config('app.organization_id', '', true);"""


def normalize_text(table: str, *columns: str, unique: str = "", is_scoped: bool = True) -> RunSQL:
    """Bring what a table has into the one Unicode form in which text is compared.

    `unique` says, of rows `t` and `other`, when both could not have the same text: such a one stays
    as it is. `is_scoped`: the table is a tenant's, which shows its rows inside of their
    organization alone.
    """
    change = f"{NORMALIZE}{NORMALIZE_UNIQUE if unique else ''};"
    changes = "".join(
        change.format(table=table, column=column, unique=unique) for column in columns
    )
    if is_scoped:
        changes = IN_EACH_ORGANIZATION.format(changes=changes)
    return RunSQL(f"DO $$ DECLARE organization uuid; BEGIN {changes} END $$", RunSQL.noop)
