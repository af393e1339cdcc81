"""What the command palette finds: pages, views, agents, runs and people, and what may be done.

Everything is what this person may see or do, and leads to a page that can also be reached without
the palette.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from urllib.parse import urlencode

from django.db.models import CharField, F, Func, Q, Value
from django.urls import reverse

from agents.models import Agent
from executions.models import Execution
from organizations.actors import Actor, Scope
from organizations.models import Membership, SavedView
from pages.context_processors import groups
from pages.decorators import OrganizationRequest
from pages.executions.page_query import ALL_TIME
from pages.saved_views.lists import lists_of
from tokens.models import Credential

MAX_ROWS = 20
MAX_AGENTS, MAX_RUNS, MAX_PEOPLE = 6, 5, 4
MIN_ID = 4
"""Shorter beginnings of a run's id tell nothing apart."""
IDS_READ = 20
"""So many ids from the typed one on are looked at: an index gives them in order."""


@dataclass(frozen=True)
class Row:
    label: str
    kind: str
    url: str


@dataclass(frozen=True)
class AgentAction:
    """Something that is done with an agent."""

    verb: str
    page: str
    scopes: tuple[str, ...] = ()
    needs_active_agent: bool = False


MAX_VERB_WORDS = 3
CHANGE = (Scope.AGENTS_READ, Scope.AGENTS_WRITE)
ROTATE = AgentAction("Rotate", "tokens:rotate_credential", CHANGE)
AGENT_ACTIONS = (
    ROTATE,
    AgentAction("New credential of", "tokens:new_credential", CHANGE, needs_active_agent=True),
    AgentAction("Change", "agents:edit", CHANGE),
    AgentAction("Suspend", "agents:suspend", CHANGE, needs_active_agent=True),
    AgentAction("Requests of", "tokens:list", (Scope.AGENTS_READ,)),
    AgentAction("Runs of", "executions:list", (Scope.EXECUTIONS_READ,)),
)
QUERIES: dict[str, dict[str, object]] = {
    "tokens:list": {},
    "executions:list": {"hours": ALL_TIME},
}
"""Pages that take the agent as a parameter, with their further parameters."""
ACTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Register agent", "agents:new", CHANGE),
    ("Register resource", "tokens:new_resource", (Scope.AGENTS_READ, Scope.ADMIN_ORGS)),
    ("Invite a member", "organizations:members", (Scope.ADMIN_ORGS,)),
    ("Change password", "organizations:change_password", ()),
)
ANCHORS = {"organizations:members": "#invite"}


def rows_for(request: OrganizationRequest, text: str) -> list[Row]:
    """The rows for what was typed, the likeliest first."""
    actor, words = request.actor, text.casefold().split()
    fixed = [*pages(request), *actions(actor)]
    if not words:
        return fixed[:MAX_ROWS]
    agents = agents_named(actor, text)
    found = chain(
        runs(actor, text),
        sorted(
            (row for row in fixed if matches(row.label, words)),
            key=lambda row: not row.label.casefold().startswith(words[0]),
        ),
        views(actor, words),
        (Row(agent.name, "Agent", reverse("agents:detail", args=[agent.pk])) for agent in agents),
        typed_agent_actions(actor, words),
        agent_actions(actor, AGENT_ACTIONS, agents) if len(agents) == 1 else (),
        people(actor, text),
        searches(actor, text),
    )
    return list(islice(dict.fromkeys(found), MAX_ROWS))


def matches(label: str, words: Sequence[str]) -> bool:
    """Whether each word begins one of the label's."""
    parts = label.casefold().split()
    return all(any(part.startswith(word) for part in parts) for word in words)


def pages(request: OrganizationRequest) -> Iterator[Row]:
    for group in groups(request):
        for item in group["items"]:
            yield Row(item["label"], "Page", item["url"])


def actions(actor: Actor) -> Iterator[Row]:
    for label, page, scopes in ACTIONS:
        if actor.may(*scopes):
            yield Row(label, "Action", f"{reverse(page)}{ANCHORS.get(page, '')}")


def views(actor: Actor, words: Sequence[str]) -> Iterator[Row]:
    """The saved views that the actor sees, of lists that it may read."""
    found = SavedView.objects.for_organization(actor.organization).visible_to(actor.id)
    for view in found.filter(list__in=lists_of(actor)).by_name():
        if matches(view.name, words):
            kind = f"View of {view.get_list_display().lower()}"
            yield Row(view.name, kind, reverse("views:open", args=[view.pk]))


def agents_named(actor: Actor, text: str) -> list[Agent]:
    """The agents whose name contains the text, those that begin with it first."""
    if not actor.may(Scope.AGENTS_READ):
        return []
    name = Func(F("email"), Value("@"), Value(1), function="SPLIT_PART", output_field=CharField())
    named = Agent.objects.for_organization(actor.organization).counted().annotate(called=name)
    found = named.filter(called__icontains=text).order_by("called", "pk")[: 4 * MAX_AGENTS]
    first = text.casefold()
    return sorted(found, key=lambda agent: not agent.name.casefold().startswith(first))[:MAX_AGENTS]


def typed_agent_actions(actor: Actor, words: Sequence[str]) -> Iterator[Row]:
    """The actions whose first words were typed, with the agents named by the rest."""
    for number in range(1, min(len(words), MAX_VERB_WORDS) + 1):
        lead, rest = " ".join(words[:number]), " ".join(words[number:])
        begun = [action for action in AGENT_ACTIONS if action.verb.casefold().startswith(lead)]
        if begun:
            yield from agent_actions(actor, begun, agents_named(actor, rest))


def agent_actions(
    actor: Actor, wanted: Iterable[AgentAction], agents: Sequence[Agent]
) -> Iterator[Row]:
    for action in wanted:
        if not actor.may(*action.scopes):
            continue
        if action is ROTATE:
            yield from rotations(actor, agents)
            continue
        for agent in agents:
            if agent.is_active or not action.needs_active_agent:
                yield Row(f"{action.verb} {agent.name}", "Action", url_of(action, agent))


def rotations(actor: Actor, agents: Sequence[Agent]) -> Iterator[Row]:
    """A row for each credential that can be rotated, which is named where an agent has several."""
    names = {agent.pk: agent.name for agent in agents}
    usable = Credential.objects.for_organization(actor.organization).usable()
    found = list(usable.filter(agent_id__in=names).order_by("-created_at")[:MAX_ROWS])
    of_agents = [each.agent_id for each in found]
    for each in sorted(found, key=lambda each: names[each.agent_id]):
        which = f": {each.label}" if of_agents.count(each.agent_id) > 1 else ""
        url = reverse(ROTATE.page, args=[each.agent_id, each.pk])
        yield Row(f"{ROTATE.verb} {names[each.agent_id]}{which}", "Action", url)


def url_of(action: AgentAction, agent: Agent) -> str:
    if action.page in QUERIES:
        query = urlencode({"agent": str(agent.pk)} | QUERIES[action.page])
        return f"{reverse(action.page)}?{query}"
    return reverse(action.page, args=[agent.pk])


def runs(actor: Actor, text: str) -> Iterator[Row]:
    """The runs whose id begins with the text. The order of the ids depends on the database's
    collation, so the first from there on are read and compared here.
    """
    if len(text) < MIN_ID or " " in text or not actor.may(Scope.EXECUTIONS_READ):
        return
    own = Execution.objects.for_organization(actor.organization)
    near = own.filter(fid__gte=text).order_by("fid").values_list("pk", "fid")[:IDS_READ]
    wanted = [pk for pk, fid in near if fid.startswith(text)]
    if not wanted:
        return
    for run in own.visible_to(actor).without_content().filter(pk__in=wanted)[:MAX_RUNS]:
        label = f"{run.fid}: {run.summary}" if run.summary else run.fid
        yield Row(label, "Run", reverse("executions:detail", args=[run.fid]))


def people(actor: Actor, text: str) -> Iterator[Row]:
    members = Membership.objects.filter(organization=actor.organization).select_related("user")
    found = members.filter(Q(user__name__icontains=text) | Q(user__email__icontains=text))
    for member in found.order_by("created_at", "pk")[:MAX_PEOPLE]:
        yield Row(str(member.user), "Member", reverse("organizations:members"))


def searches(actor: Actor, text: str) -> Iterator[Row]:
    """The lists that can be searched for the text."""
    if actor.may(Scope.EXECUTIONS_READ):
        query = urlencode({"search": text, "hours": ALL_TIME})
        yield Row(f"Runs with “{text}”", "Search", f"{reverse('executions:list')}?{query}")
    if actor.may(Scope.AGENTS_READ):
        query = urlencode({"q": text})
        yield Row(f"Agents with “{text}”", "Search", f"{reverse('agents:list')}?{query}")
