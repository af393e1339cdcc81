"""An organization whose rows all contain one word, so that any leak is detected."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import cycle
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.db import connection
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.models import FindingSnooze
from executions.event_log import NewEvent
from executions.models import (
    NOBODY,
    RESERVED_IDS,
    DeletedExecution,
    EndedCount,
    EndedInTime,
    ErrorCount,
    ErrorResolution,
    Execution,
    ExecutionError,
    UnfinishedDeletion,
    Upload,
    UploadPart,
    now,
)
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    make_execution,
    make_file,
    make_user_of,
    tagged,
)
from organizations.actions import invite
from organizations.actors import Actor, Scope
from organizations.audit.log import record_event
from organizations.models import (
    AnsweredRequest,
    Attempt,
    AuditEvent,
    Invitation,
    Membership,
    Organization,
    Principal,
    SavedView,
    StartView,
)
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization, make_user
from tokens.models import (
    Credential,
    MonthlyUsage,
    Resource,
    ResourceGrant,
    Revocation,
    TokenEvent,
)
from tokens.tests.factories import access_token_for, make_credential, make_grant, make_resource

PASSWORD = "correct horse battery staple"

RESERVED = cycle(sorted(RESERVED_IDS))

NOBODYS = {"django_session"}
"""A page's session holds messages for the next page."""


class Tenant:
    """An organization with a row of each kind, created on first use."""

    def __init__(self, name: str) -> None:
        self.word = f"{name}{secrets.token_hex(6)}"
        self.organization: Organization = make_organization(self.word, slug=self.word)
        self._people: dict[str, Membership] = {}
        self._kept: dict[Callable[[Tenant], Any], Any] = {}

    def person(self, role: str) -> Membership:
        """The member with this role that makes calls."""
        if role not in self._people:
            self._people[role] = self.member(role)
        return self._people[role]

    def member(self, role: str) -> Membership:
        """Another member with this role."""
        user = make_user(f"{self._new_name()}@example.com", PASSWORD, name=self.word)
        return make_membership(self.organization, role, user)

    @cached_property
    def newcomer(self) -> Membership:
        return self.member("viewer")

    @cached_property
    def agent(self) -> Agent:
        return self.another_agent()

    @cached_property
    def agent_member(self) -> Agent:
        agent = self.another_agent()
        Principal.objects.filter(pk=agent.pk).update(role=Principal.Role.MEMBER)
        return agent

    def another_agent(self, **overrides: Any) -> Agent:
        fields = {"owner": self.word, "capabilities": [f"{self.word}:read"]}
        email = f"{self._new_name()}@example.com"
        return make_agent(self.organization, email=email, **(fields | overrides))

    def entitled(self, agent: Agent, *scopes: str) -> Agent:
        """The agent with these scopes; for admin:orgs it is made an administrator."""
        agent.scopes = sorted(scopes)
        role = Principal.Role.ADMIN if Scope.ADMIN_ORGS in scopes else ""
        with organization_scope(self.organization):
            agent.save(update_fields=["scopes"])
            Principal.objects.filter(pk=agent.pk).update(role=role)
        return agent

    @cached_property
    def credential(self) -> Credential:
        return make_credential(self.agent)[0]

    @cached_property
    def resource(self) -> Resource:
        return make_resource(self.organization, name=self.word)

    @cached_property
    def grant(self) -> ResourceGrant:
        return make_grant(self.resource, self.agent)

    @cached_property
    def view(self) -> SavedView:
        """A view of the runs that the organization shares, and the viewer's list opens with."""
        own = {"organization": self.organization, "list": "executions"}
        with organization_scope(self.organization):
            view = SavedView.objects.create(**own, name=self.word, query=f"search={self.word}")
            StartView.objects.create(**own, user=self.person("viewer").user, view=view)
            return view

    @cached_property
    def snooze(self) -> FindingSnooze:
        """A snoozed finding about the agent's credential."""
        about = {"agent": self.agent, "credential": self.credential}
        with organization_scope(self.organization):
            return FindingSnooze.objects.create(
                organization=self.organization,
                kind="credential_unused",
                severity="warn",
                message=self.word,
                reason=self.word,
                until=timezone.now() + timedelta(days=7),
                snoozed_by=self.person("owner").user,
                **about,
            )

    @cached_property
    def token(self) -> str:
        return access_token_for(self.agent)

    @cached_property
    def invitation(self) -> Invitation:
        return self.invite(f"{self._new_name()}@example.com")[0]

    def invite(self, email: str) -> tuple[Invitation, str]:
        """A pending invitation and its link, exempt from the limit on invitations per person."""
        Attempt.objects.all().delete()
        actor = Actor.for_person(self.person("owner"))
        with organization_scope(self.organization):
            return invite(self.organization, actor=actor, email=email, role="viewer")

    @cached_property
    def event(self) -> AuditEvent:
        return self.record_event()

    def record_event(self) -> AuditEvent:
        actor = Actor.for_system(self.organization, self.word)
        with organization_scope(self.organization):
            return record_event("agent.updated", self.agent, actor=actor, note=self.word)

    def record_token_event(self, agent: Agent) -> TokenEvent:
        with organization_scope(self.organization):
            return TokenEvent.objects.create(
                organization=self.organization,
                agent=agent,
                credential=make_credential(agent)[0],
                outcome=TokenEvent.Outcome.ISSUED,
            )

    @cached_property
    def execution(self) -> Execution:
        """A live execution of the agent on the viewer's behalf."""
        return self.another_execution(RUNNING)

    @cached_property
    def ended_execution(self) -> Execution:
        return self.another_execution(FINISHED)

    @cached_property
    def reserved_execution(self) -> Execution:
        """An execution whose id is a reserved word, chosen before those were refused.

        Each tenant gets a different word.
        """
        return self.another_execution(FINISHED, fid=next(RESERVED))

    def another_execution(
        self, statuses: Sequence[tuple[str, float]], **overrides: Any
    ) -> Execution:
        reported = [tagged("meta", now(), summary=self.word), NewEvent(now(), "stdout", self.word)]
        return make_execution(
            self.organization,
            statuses,
            agent=self.agent,
            credential=self.credential,
            user=make_user_of(self.person("viewer")),
            agent_name=self.word,
            events=reported,
            **overrides,
        )

    @cached_property
    def failed_execution(self) -> Execution:
        """A failed execution of the agent on the viewer's behalf, with a file."""
        execution = self.fail(self.word)
        make_file(execution, path=f"{self.word}.txt")
        return execution

    @cached_property
    def error_group(self) -> str:
        """The fingerprint of that execution's error, which no other tenant has."""
        with organization_scope(self.organization):
            return ExecutionError.objects.get(execution=self.failed_execution).fingerprint

    @cached_property
    def resolution(self) -> ErrorResolution:
        with organization_scope(self.organization):
            return ErrorResolution.objects.create(
                organization=self.organization,
                fingerprint=self.error_group,
                resolved_at=timezone.now(),
                note=self.word,
                actor_kind="system",
                actor_label=self.word,
            )

    def fail(self, agent_name: str) -> Execution:
        """A failed execution; a different end of its agent's name gives another group of errors."""
        letters = "".join(
            chr(ord(letter) + 49) if letter.isdigit() else letter for letter in agent_name
        )
        return make_execution(
            self.organization,
            FAILED,
            events=[NewEvent(now(), "error", f"ValueError: {self.word} {letters[-24:]}")],
            agent=self.agent,
            agent_name=agent_name,
            user=make_user_of(self.person("viewer")),
        )

    @cached_property
    def upload(self) -> Upload:
        """An announced upload of which no part has arrived."""
        with organization_scope(self.organization):
            return Upload.objects.create(
                organization=self.organization,
                execution=self.execution,
                area="out",
                path=f"{self.word}.txt",
                size=5,
            )

    def fill(self) -> None:
        """Create a row of each kind, so that there is something to leak."""
        kinds = (
            "credential",
            "invitation",
            "event",
            "newcomer",
            "execution",
            "upload",
            "grant",
            "view",
            "snooze",
        )
        for kind in (*kinds, "failed_execution", "resolution"):
            getattr(self, kind)
        self.record_token_event(self.agent)
        with organization_scope(self.organization):
            own = {"organization": self.organization}
            UploadPart.objects.create(**own, upload=self.upload, offset=0, content=b"01234")
            AnsweredRequest.objects.create(
                **own, principal_id=uuid4(), key=self.word, digest=b"", body=self.word
            )
            DeletedExecution.objects.create(**own, fid=self._new_name())
            UnfinishedDeletion.objects.create(**own, last_sequence=1)
            nobody = {"user_id": NOBODY, "agent_id": NOBODY, "agent_name": self.word}
            nothing = {"executions": 0, "timed": 0, "elapsed": 0}
            EndedCount.objects.create(**own, status="error", **nobody, **nothing)
            span = {"clock": "start", "seconds": 900, "property": "agent", "place": 1}
            EndedInTime.objects.create(**own, **span, value=self.word, **nothing, failed=0, cost=0)
            ErrorCount.objects.create(
                **own, seconds=0, property="agent", place=0, value=self.word, errors=0
            )
            Revocation.objects.create(**own, token_id=uuid4(), expires_at=timezone.now())
            MonthlyUsage.objects.get_or_create(**own, month=timezone.now().date().replace(day=1))

    def id_for(self, parameter: str) -> Any:
        """The id for a parameter of this name, such as `agentId` for an agent."""
        return getattr(self, parameter.removesuffix("Id")).pk

    def keep(self, *makers: Callable[[Tenant], Any] | None) -> None:
        """Create the ids or bodies now, for use when the tenant may have been disabled."""
        for make in makers:
            if make is not None and make not in self._kept:
                self._kept[make] = make(self)

    def kept(self, make: Callable[[Tenant], Any] | None) -> Any:
        return self._kept[make] if make is not None else None

    def rows(self) -> dict[str, list[str]]:
        """Every row of the organization as stored in the database, by table."""
        with organization_scope(self.organization), connection.cursor() as cursor:
            found = {}
            for table, column in tenant_tables().items():
                cursor.execute(
                    f"SELECT to_jsonb(held)::text FROM {table} held WHERE {column} = %s ORDER BY 1",
                    [self.organization.pk],
                )
                found[table] = [row for (row,) in cursor.fetchall()]
            return found

    def marks(self) -> set[str]:
        """Texts that must never reach another tenant: the word, and the id of every row."""
        marks = {self.word, str(self.organization.pk)}
        for rows in self.rows().values():
            marks |= {str(json.loads(row).get("id") or self.word) for row in rows}
        return marks

    def _new_name(self) -> str:
        return f"{self.word}-{secrets.token_hex(4)}"


def tenant_tables() -> dict[str, str]:
    """Every table with rows of organizations, and its column with the organization's id."""
    tables = {
        model._meta.db_table: "organization_id"
        for model in apps.get_models()
        if any(field.name == "organization" for field in model._meta.fields)
    }
    return tables | {"organizations_organization": "id"}


def all_rows(tenant: Tenant) -> dict[str, list[str]]:
    """Every row visible in the tenant's scope, including those without an organization: people,
    their sessions and links, mail, and counted attempts.
    """
    found = {}
    names = {model._meta.db_table for model in apps.get_models() if model._meta.managed}
    with organization_scope(tenant.organization), connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relname = ANY(%s)"
            " AND has_table_privilege(c.oid, 'SELECT')",
            [sorted(names - NOBODYS)],
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT to_jsonb(held)::text FROM "{table}" held ORDER BY 1')
            found[table] = [row for (row,) in cursor.fetchall()]
    return found


def unknown_id(value: str) -> str:
    """An id of the same format that does not exist."""
    return f"org-{uuid4()}" if value.startswith("org-") else str(uuid4())
