"""The planned runs of the agents, with events that may lie in the future.

The plan of a day depends only on the day.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from core.days import DAY
from demo.companies import Company, Part, uuid_at
from demo.scripts import SCRIPTS, Script
from demo.traffic import RHYTHMS, SATURDAY, SEED, WEEKEND, Player, is_over, spike_day
from executions.event_log import NewEvent
from executions.json_text import tagged
from executions.models import ExecutionUser

MAX_RUN_DAYS = 2
"""The maximum number of days that a run waits for an answer."""
INPUT_PRICE, OUTPUT_PRICE = Decimal("0.40"), Decimal("1.60")
"""US dollars per million tokens."""


@dataclass
class Run:
    """An execution from its beginning to its end, which may lie in the future."""

    key: UUID
    player: Player
    user: ExecutionUser | None
    events: list[NewEvent]
    input_tokens: int | None
    output_tokens: int | None
    file: tuple[str, str] | None
    """The path and content of the file that it produces."""

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


def plan(
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
    # The plan must not depend on the age of the day: only tokens follow a part's story.
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
    words = words_of(script, part, chance)
    user = None if part.agent_type in {"monitor", "router"} else chance.choice(users)
    end = chance.choices(["finished", "error", "cancelled"], [1 - failing, failing, 0.02])[0]
    seconds = chance.uniform(*script.seconds)
    messages = [
        *_beginning(part, script, words),
        *_middle(script, words, chance),
    ]
    wait = 0.0
    if script.asks and end == "finished" and chance.random() < 0.15:
        wait = chance.uniform(3600, MAX_RUN_DAYS * 86_400)
    events = _timed(messages, start, seconds)
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


def words_of(script: Script, part: Part, chance: random.Random) -> dict[str, str]:
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
    messages = [
        ("stdout", filled(script.step, words | {"number": str(number)}))
        for number in range(1, shown + 1)
    ]
    if chance.random() < 0.3:
        note = {"Text": {"body": f"{words['kept']} of {words['count']} so far."}}
        messages.append(("result", json.dumps(note, ensure_ascii=False)))
    if chance.random() < 0.08:
        messages.append(("stderr", "warning: the answer took longer than 10 s"))
    return messages


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


def _timed(messages: list[tuple[str, str]], start: float, seconds: float) -> list[NewEvent]:
    step = seconds / len(messages)
    return [NewEvent(round(start + n * step, 6), *each) for n, each in enumerate(messages)]
