"""The bars of a credential's card: its tokens by day, divided into new and old secret."""

from collections.abc import Sequence
from datetime import UTC, date
from typing import Any

from analytics.agent_usage import AgentUsage
from core.formatting import counted
from pages.agents.credential_usage import DAYS
from pages.agents.secret_usage import SecretUsage
from pages.charts import short_day
from pages.figures import Strip
from tokens.models import Credential

HEIGHT = 48
"""Of the bars, in pixels."""
WIDTH = 100 / DAYS
"""Of a day, in hundredths of the chart."""


def bars(
    credential: Credential, usage: AgentUsage, secrets: Sequence[SecretUsage], strip: Strip
) -> dict[str, Any]:
    """A bar for each day. In rotation it is divided into old and new secret, by which its tokens
    were counted; after one, only whole days before it are known to be the old secret's.
    """
    counts = {day: usage.on(credential.pk, day).issued for day in strip.days}
    most = max(counts.values(), default=0)
    rotated_on = credential.rotated_at.astimezone(UTC).date() if credential.rotated_at else None
    if rotated_on not in counts:  # before the strip, or after it by a clock that is ahead
        rotated_on = None
    of_new = {day: _of_new(day, count, rotated_on, secrets) for day, count in counts.items()}
    highest = max(counts, key=lambda day: counts[day]) if most else None
    return {
        "days": [
            _bar(place, day, count, of_new[day], most, strip, is_rotating=bool(secrets))
            for place, (day, count) in enumerate(counts.items())
        ],
        "label": f"Tokens by day: at most {most:,}, on {short_day(highest)}" if highest else "",
        "is_split": rotated_on is not None,
        "rotated": f"{strip.days.index(rotated_on) * WIDTH:.2f}" if rotated_on else "",
        "first": short_day(strip.first),
        "middle": short_day(strip.days[DAYS // 2]),
        "height": HEIGHT,
    }


def _of_new(day: date, count: int, rotated_on: date | None, secrets: Sequence[SecretUsage]) -> int:
    """How many of the day's tokens are drawn as the current secret's."""
    if rotated_on is None:
        return count
    if secrets:
        return min(secrets[0].days.get(day, 0), count)
    return count if day >= rotated_on else 0


def _bar(
    place: int,
    day: date,
    count: int,
    of_new: int,
    most: int,
    strip: Strip,
    *,
    is_rotating: bool,
) -> dict[str, Any]:
    whole = max(HEIGHT * count / most, 2) if count else 0
    upper = whole * of_new / count if count else 0
    split = f", {of_new:,} with the new secret" if is_rotating else ""
    return {
        "x": f"{(place + 0.12) * WIDTH:.2f}%",
        "width": f"{0.76 * WIDTH:.2f}%",
        "new_y": f"{HEIGHT - whole:.1f}",
        "new_height": f"{upper:.1f}" if upper else "",
        "old_y": f"{HEIGHT - whole + upper:.1f}",
        "old_height": f"{whole - upper:.1f}" if whole > upper else "",
        "is_today": day == strip.today,
        "title": f"{short_day(day)}: {counted(count, 'tokens')}{split}" if count else "",
    }
