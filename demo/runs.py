"""Thirty believable days of executions, as the agents would have reported them.

The plan of a day follows from the day alone, so a later call finds which runs are new, which of
those that were at work have gone on, and adds just that.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import Max

from demo.companies import Company, Part, uuid_at
from demo.scripts import SCRIPTS, Script
from demo.traffic import RHYTHMS, SATURDAY, SEED, WEEKEND, Player, is_over, spike_day
from executions.event_log import NewEvent, append_events, apply_events, tagged
from executions.file_storage import folder_of
from executions.models import (
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionFile,
    ExecutionUser,
)
from organizations.models import Membership, Organization

DAYS = 30
WITHOUT_EFFECT = frozenset({"stdout", "stderr", "result"})
"""Kinds of events that change nothing but the times."""
MAX_RUN_DAYS = 2
"""Days that a run waits for an answer at most."""
DAY = timedelta(days=1)
INPUT_PRICE, OUTPUT_PRICE = Decimal("0.40"), Decimal("1.60")
"""US dollars for a million tokens."""
FORMER = "Lena Brandt"
"""She has left the organization; her executions keep her name."""


@dataclass
class Run:
    """One execution from its beginning to its end, which may lie in the future."""

    key: UUID
    player: Player
    user: ExecutionUser | None
    events: list[NewEvent]
    input_tokens: int | None
    output_tokens: int | None
    file: tuple[str, str] | None
    """The path and content of what it makes."""

    @property
    def start(self) -> float:
        return self.events[0].timestamp

    @property
    def end(self) -> float:
        return self.events[-1].timestamp

    @property
    def cost(self) -> Decimal | None:
        if self.input_tokens is None or self.output_tokens is None:
            return None
        total = self.input_tokens * INPUT_PRICE + self.output_tokens * OUTPUT_PRICE
        return (total / 1_000_000).quantize(Decimal("0.000001"))


def bring_up_to(
    now: datetime, company: Company, organization: Organization, players: list[Player]
) -> int:
    """Add what has happened since the last call; how many executions are new."""
    latest = Execution.objects.for_organization(organization).filter(
        source=Execution.Source.API, credential__in=_usual_credentials(players)
    )
    since = latest.aggregate(latest=Max("start_time"))["latest"] or 0.0
    days = DAYS if not since else min(DAYS, (now.timestamp() - since) / 86_400 + MAX_RUN_DAYS + 1)
    planned = list(_plan(company, _users(organization), players, now, int(days)))
    _go_on(organization, planned, since, now.timestamp())
    new = [run for run in planned if since < run.start <= now.timestamp()]
    _insert(organization, new, now.timestamp())
    return len(new)


def _usual_credentials(players: list[Player]) -> list[UUID]:
    return [player.credential_ids[0] for player in players]


def _users(organization: Organization) -> list[ExecutionUser]:
    """The members as executions know them, and somebody who has left."""
    users = [
        ExecutionUser.objects.get_or_create(
            organization=organization,
            external_id=membership.user_id,
            defaults={
                "name": str(membership.user),
                "email": membership.user.email,
                "user": membership.user,
            },
        )[0]
        for membership in Membership.objects.for_organization(organization)
        .select_related("user")
        .order_by("created_at", "id")
    ]
    former = UUID(int=random.Random(f"{SEED} {organization.slug} {FORMER}").getrandbits(128))  # noqa: S311
    return [
        *users,
        ExecutionUser.objects.get_or_create(
            organization=organization, external_id=former, defaults={"name": FORMER}
        )[0],
    ]


def _plan(
    company: Company,
    users: list[ExecutionUser],
    players: list[Player],
    now: datetime,
    days: int,
) -> Iterator[Run]:
    for player in players:
        for back in range(days):
            yield from _day(company, users, player, now.date() - back * DAY, now.date())


def _day(
    company: Company, users: list[ExecutionUser], player: Player, day: date, today: date
) -> Iterator[Run]:
    part = player.part
    chance = random.Random(f"{SEED} {company.slug} {part.name} runs {day}")  # noqa: S311
    # How old the day is must not change its plan: a part's story is told in its tokens.
    if is_over(part, (today - day).days):
        return
    zone = ZoneInfo(company.office_zone)
    mean = min(14.0, 0.4 + part.per_day**0.5 * 0.75)
    if day.weekday() >= SATURDAY:
        mean *= WEEKEND[part.rhythm]
    is_bad_day = part.story == "spike" and day == spike_day(today)
    for number in range(int(mean) + (chance.random() < mean % 1)):
        hour = chance.choices(range(24), RHYTHMS[part.rhythm])[0]
        local = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
        start = local.astimezone(UTC).timestamp() + chance.uniform(0, 3600)
        failing = 0.7 if is_bad_day and 13 <= hour < 18 else 0.05
        yield _run(company, users, player, f"{day} {number}", round(start, 6), failing, chance)


def _run(
    company: Company,
    users: list[ExecutionUser],
    player: Player,
    name: str,
    start: float,
    failing: float,
    chance: random.Random,
) -> Run:
    part, script = player.part, SCRIPTS[player.part.agent_type]
    key = uuid_at(datetime.fromtimestamp(start, UTC), chance)
    words = _words(script, part, chance)
    user = None if part.agent_type in {"monitor", "router"} else chance.choice(users)
    end = chance.choices(["finished", "error", "cancelled"], [1 - failing, failing, 0.02])[0]
    seconds = chance.uniform(*script.seconds)
    told = [
        *_beginning(part, script, words),
        *_middle(script, words, chance),
    ]
    wait = 0.0
    if script.asks and end == "finished" and chance.random() < 0.15:
        wait = chance.uniform(3600, MAX_RUN_DAYS * 86_400)
    events = _timed(told, start, seconds)
    last = start + seconds
    if wait:
        lock = str(UUID(int=chance.getrandbits(128)))
        asked = {"name": "approval", "lid": lock, "data": {"question": script.asks}}
        events.append(NewEvent(last, "lock", tagged(asked | {"expires": last + 3 * 86_400})))
        last += wait
        answer = {"name": "approval", "lid": lock, "result": {"answer": "yes"}}
        events.append(NewEvent(last, "lease", tagged(answer)))
    events += [NewEvent(last + 0.2, *each) for each in _end(end, script, part, words, chance)]
    pieces = int(words["count"])
    used = pieces * chance.randint(*script.tokens) if script.tokens[1] else None
    has_file = end == "finished" and script.file and chance.random() < 0.6
    return Run(
        key,
        player,
        user,
        events,
        used,
        used // 9 if used is not None else None,
        (script.file, _content(script, words)) if has_file else None,
    )


def _words(script: Script, part: Part, chance: random.Random) -> dict[str, str]:
    count = chance.randint(3, 40)
    return {
        "agent": part.name,
        "subject": chance.choice(script.subjects),
        "count": str(count),
        "kept": str(chance.randint(1, count)),
        "score": f"{chance.uniform(0.5, 0.99):.2f}",
        "number": str(chance.randint(2, 99)),
        "hex": f"{chance.getrandbits(64):016x}",
    }


def filled(text: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text


def _beginning(part: Part, script: Script, words: dict[str, str]) -> list[tuple[str, str]]:
    inputs = {"subject": words["subject"], "limit": int(words["count"])}
    meta = {
        "entry_point": f"{part.name.replace('-', '_')}.main:run",
        "summary": script.summary,
        "description": script.description,
        "tags": list(script.tags),
        "version": part.version,
    }
    return [
        ("status", "starting"),
        ("inputs", tagged(inputs)),
        ("meta", tagged(meta)),
        ("status", "running"),
    ]


def _middle(script: Script, words: dict[str, str], chance: random.Random) -> list[tuple[str, str]]:
    shown = min(int(words["count"]), chance.randint(2, 7))
    told = [
        ("stdout", filled(script.step, words | {"number": str(number)}))
        for number in range(1, shown + 1)
    ]
    if chance.random() < 0.3:
        note = {"Text": {"body": f"{words['kept']} of {words['count']} so far."}}
        told.append(("result", json.dumps(note, ensure_ascii=False)))
    if chance.random() < 0.08:
        told.append(("stderr", "warning: the answer took longer than 10 s"))
    return told


def _end(
    end: str, script: Script, part: Part, words: dict[str, str], chance: random.Random
) -> list[tuple[str, str]]:
    if end == "error":
        failure = chance.choice(script.failures)
        trace = failure.trace(filled(failure.error, words))
        return [("error", filled(trace, {"agent": part.name})), ("status", "error")]
    if end == "cancelled":
        return [("status", "cancelled")]
    final = {"Markdown": {"body": filled(script.result, words)}}
    return [("final", json.dumps(final, ensure_ascii=False)), ("status", "finished")]


def _content(script: Script, words: dict[str, str]) -> str:
    if script.file.endswith(".csv"):
        rows = [f"{number},{words['subject']},{words['score']}" for number in range(1, 13)]
        return "\n".join(["number,subject,total", *rows, ""])
    if script.file.endswith(".json"):
        return json.dumps({"subject": words["subject"], "runs": int(words["count"])}, indent=1)
    return filled(script.result, words)


def _timed(told: list[tuple[str, str]], start: float, seconds: float) -> list[NewEvent]:
    step = seconds / len(told)
    return [NewEvent(round(start + n * step, 6), *each) for n, each in enumerate(told)]


def _go_on(organization: Organization, planned: list[Run], since: float, now: float) -> None:
    """Let the runs that were at work at the last call say what they have said since."""
    runs = {run.key: run for run in planned if run.start <= since}
    live = Execution.objects.for_organization(organization).live()
    for execution in live.filter(pk__in=runs.keys()):
        run = runs[execution.pk]
        said = [event for event in run.events[execution.last_sequence :] if event.timestamp <= now]
        append_events(execution, said, is_strict=False, **_figures(run, now))
        if run.end <= now:
            _save_files(organization, [(run, execution)])


def _figures(run: Run, now: float) -> dict[str, Any]:
    """What is known once it has ended."""
    if run.end > now:
        return {}
    return {
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost": run.cost,
        "download_count": int(run.file is not None),
        "output_file_count": int(run.file is not None),
    }


INSERT_EVENTS = """
    INSERT INTO executions_executionevent
        (organization_id, execution_id, sequence, timestamp, kind, message)
    SELECT %s, * FROM unnest(%s::uuid[], %s::int[], %s::float8[], %s::text[], %s::text[])
"""


def _insert(organization: Organization, runs: list[Run], now: float) -> None:
    """Everything in a handful of statements, so that seeding takes seconds."""
    executions, errors, finished = [], [], []
    columns: tuple[list[Any], ...] = ([], [], [], [], [])
    for run in runs:
        told = [(n, event) for n, event in enumerate(run.events, 1) if event.timestamp <= now]
        execution = Execution(
            id=run.key,
            fid=str(run.key),
            organization=organization,
            agent_id=run.player.agent_id,
            credential_id=run.player.credential_ids[0],
            user=run.user,
            agent_name=run.player.part.name,
            start_time=run.start,
            created_at=datetime.fromtimestamp(run.start, UTC),
            **_figures(run, now),
        )
        rows = [
            ExecutionEvent(
                organization_id=organization.pk,
                execution_id=run.key,
                sequence=sequence,
                timestamp=event.timestamp,
                kind=event.kind,
                message=event.message,
            )
            for sequence, event in told
            if event.kind not in WITHOUT_EFFECT or sequence == len(told)
        ]
        errors += apply_events(execution, rows)
        executions.append(execution)
        for sequence, event in told:
            row = (run.key, sequence, event.timestamp, event.kind, event.message)
            for column, value in zip(columns, row, strict=True):
                column.append(value)
        if run.end <= now:
            finished.append((run, execution))
    Execution.objects.bulk_create(executions)
    with connection.cursor() as cursor:
        cursor.execute(INSERT_EVENTS, [organization.pk, *columns])
    ExecutionError.objects.bulk_create(errors)
    _save_files(organization, finished)


def _save_files(organization: Organization, ended: list[tuple[Run, Execution]]) -> None:
    files = []
    for run, execution in ended:
        if run.file is None:
            continue
        path, text = run.file
        key = uuid_at(datetime.fromtimestamp(run.end, UTC), random.Random(f"{run.key} file"))  # noqa: S311
        content = text.encode()
        name = f"{folder_of(organization.pk, execution.pk)}/{key}"
        default_storage.delete(name)
        files.append(
            ExecutionFile(
                id=key,
                organization=organization,
                execution=execution,
                area=ExecutionFile.Area.OUT,
                path=path,
                size=len(content),
                last_modified=run.end,
                content=default_storage.save(name, ContentFile(content)),
            )
        )
    ExecutionFile.objects.bulk_create(files)
