"""Ninety believable days of token requests, the same for everyone on the same day.

Python draws the number of requests of each agent in each hour; one SQL statement for each
organization turns them into events, so that seeding takes seconds.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from demo.companies import Company, Part
from organizations.models import Organization

DAYS = 90
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TUESDAY, SATURDAY = 1, 5
SEED = "agentidp"
SPIKE = 14
"""The factor by which the spike day exceeds the agent's usual day."""

# The share of a working day's requests in each local hour.
RHYTHMS = {
    "office": (0, 0, 0, 0, 0, 1, 3, 7, 11, 14, 15, 13, 9, 11, 12, 10, 7, 4, 2, 1, 0, 0, 0, 0),
    "long": (1, 1, 0, 0, 1, 2, 4, 6, 8, 10, 10, 9, 8, 9, 9, 8, 7, 6, 5, 4, 3, 2, 2, 1),
    "evening": (2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 6, 8, 10, 12, 13, 13, 12, 10, 8, 6, 4, 3),
    "night": (8, 12, 14, 12, 9, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 6),
    "steady": (1,) * 24,
}
WEEKEND = {"office": 0.12, "long": 0.3, "evening": 0.25, "night": 1.0, "steady": 1.0}


@dataclass(frozen=True)
class Burst:
    """An agent's requests within one hour that have the same outcome."""

    agent_id: UUID
    credential_id: UUID
    hour: datetime
    count: int
    outcome: str = "issued"
    reason: str = ""


@dataclass(frozen=True)
class Player:
    """A part with its ids in the database; the first credential is the usual one."""

    part: Part
    agent_id: UUID
    credential_ids: tuple[UUID, ...]


def spike_day(today: date) -> date:
    """The last working day that is at least three days ago."""
    day = today - 3 * DAY
    return day - max(0, day.weekday() - SATURDAY + 1) * DAY


def silent_day(today: date) -> date:
    """The last Tuesday at least six days ago, on which the whole organization was idle."""
    day = today - 6 * DAY
    return day - (day.weekday() - TUESDAY) % 7 * DAY


def bursts(company: Company, players: list[Player], now: datetime) -> Iterator[Burst]:
    """All requests of the last ninety days, hour by hour in UTC."""
    today = now.date()
    silent = silent_day(today)
    for player in players:
        for back in range(DAYS):
            day = today - back * DAY
            if day != silent:
                yield from _day(company, player, day, today)


def _day(company: Company, player: Player, day: date, today: date) -> Iterator[Burst]:
    part, usual = player.part, player.credential_ids[0]
    chance = random.Random(f"{SEED} {company.slug} {part.name} {day}")  # noqa: S311 - a demonstration
    age = (today - day).days
    if is_over(part, age):
        if part.story == "suspended" and age < 4:
            yield _burst(player, usual, day, 9, 2, "refused", "agent_suspended")
        return
    growth = 1 - 0.25 * age / DAYS
    factor = growth * chance.uniform(0.88, 1.12)
    if part.story == "spike" and day == spike_day(today):
        yield from _spike(player, day)
        return
    zone = ZoneInfo(company.office_zone)
    weights = RHYTHMS[part.rhythm]
    for hour in range(24):
        at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
        local = at.astimezone(zone)
        weight = weights[local.hour] / sum(weights)
        if local.weekday() >= SATURDAY:
            weight *= WEEKEND[part.rhythm]
        count = _rounded(part.per_day * weight * factor * chance.uniform(0.75, 1.25), chance)
        refused = _rounded(count * part.refused_share, chance)
        credential = _credential(player, age, chance)
        if count:
            yield Burst(player.agent_id, credential, at, count)
            checked = _rounded(count * 0.03, chance)
            yield Burst(player.agent_id, credential, at, checked, "introspected")
        if refused:
            reason = chance.choice(["wrong_secret", "wrong_secret", "scope_not_allowed"])
            yield Burst(player.agent_id, credential, at, refused, "refused", reason)
    if part.story == "rotated out" and age < 6:
        for hour in range(8, 18):
            yield _burst(
                player, usual, day, hour, chance.randint(2, 5), "refused", "secret_rotated"
            )


def _spike(player: Player, day: date) -> Iterator[Burst]:
    """A retry loop: from 13:00 on nearly all requests use the second credential."""
    usual, leaked = player.credential_ids[:2]
    wanted = player.part.per_day * SPIKE
    for hour in range(7, 12):
        yield _burst(player, usual, day, hour, wanted // 250)
    for hour in range(13, 22):
        yield _burst(player, leaked, day, hour, wanted // 9)
        yield _burst(player, leaked, day, hour, 2, "refused", "scope_not_allowed")


def _burst(
    player: Player,
    credential: UUID,
    day: date,
    hour: int,
    count: int,
    outcome: str = "issued",
    reason: str = "",
) -> Burst:
    at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    return Burst(player.agent_id, credential, at, count, outcome, reason)


def is_over(part: Part, age: int) -> bool:
    """Whether the agent had been decommissioned by then."""
    ended = {"suspended": 9, "decommissioned": 48}.get(part.story)
    return ended is not None and age < ended


def _credential(player: Player, age: int, chance: random.Random) -> UUID:
    """Usually the first credential; sometimes the second, as long as the agent's story allows
    it.
    """
    second_works = {"unused": age > 40, "revoked": age > 25, "spike": True}
    if second_works.get(player.part.story, False) and chance.random() < 0.2:
        return player.credential_ids[1]
    return player.credential_ids[0]


def _rounded(value: float, chance: random.Random) -> int:
    """A random whole number whose mean is the value."""
    return int(value) + (chance.random() < value % 1)


INSERT = """
    INSERT INTO tokens_tokenevent (id, organization_id, created_at, outcome, reason, agent_id,
                                   credential_id, token_id, scope, ip_address, secret_hint,
                                   used_previous_secret, credential_name)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
            || substr(hash, 1, 3) || 'a' || substr(hash, 4, 15))::uuid,
           %(organization)s, at, outcome, reason, agent_id, credential_id,
           CASE WHEN outcome <> 'refused'
                THEN (substr(hash, 17, 12) || '4' || substr(hash, 1, 3)
                      || 'b' || substr(hash, 4, 15))::uuid
           END,
           %(scope)s,
           ('10.20.0.' || ('x' || right(agent_id::text, 2))::bit(8)::integer)::inet,
           -- Of a secret that was not rotated, pages know the hint from its credential.
           CASE WHEN previous_secret_hint = '' THEN ''
                WHEN is_old THEN previous_secret_hint ELSE secret_hint END,
           is_old AND at > rotated_at,
           name
    FROM (
        SELECT *, hour + interval '1 hour'
               * ((number - 1 + ('x' || substr(hash, 25, 4))::bit(16)::integer / 65536.0) / count)
               AS at
        FROM unnest(%(agents)s::uuid[], %(credentials)s::uuid[], %(hours)s::timestamptz[],
                    %(counts)s::integer[], %(outcomes)s::text[], %(reasons)s::text[])
             AS burst (agent_id, credential_id, hour, count, outcome, reason),
             generate_series(1, count) AS number,
             md5(agent_id::text || extract(epoch FROM hour)::bigint || outcome || reason
                 || credential_id || number) AS hash
    ) event
    CROSS JOIN LATERAL (
        SELECT name, secret_hint, previous_secret_hint, rotated_at,
            -- The client takes the new secret a day after the rotation.
            previous_secret_hint <> '' AND at < rotated_at + interval '1 day' AS is_old
        FROM tokens_credential WHERE id = credential_id
    ) credential
    WHERE at > %(since)s AND at <= %(now)s
    ORDER BY at
"""


def record(
    organization: Organization, found: list[Burst], *, since: datetime, now: datetime, scope: str
) -> int:
    """Insert the requests after `since` in one statement; return the number of events."""
    found = [burst for burst in found if since - HOUR < burst.hour <= now]
    with connection.cursor() as cursor:
        cursor.execute(
            INSERT,
            {
                "organization": organization.pk,
                "scope": scope,
                "since": since,
                "now": now,
                "agents": [burst.agent_id for burst in found],
                "credentials": [burst.credential_id for burst in found],
                "hours": [burst.hour for burst in found],
                "counts": [burst.count for burst in found],
                "outcomes": [burst.outcome for burst in found],
                "reasons": [burst.reason for burst in found],
            },
        )
        return int(cursor.rowcount)
