"""Formatting of numbers, times and statuses, and the block components.

`docs/explanation/design-system.md` lists every component with its context.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django import template
from django.forms.utils import flatatt
from django.template import Context
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.formatting import (
    NOTHING,
    SPACE,
    Number,
    absolute_time,
    duration,
    money,
    number,
    percent,
    shortened,
)
from pages.lists import PLACE

register = template.Library()

# word -> (tone, icon); every status is shown with all three: icon, word, colour.
STATUSES = {
    "active": ("good", "dot"),
    "issued": ("good", "dot"),
    "success": ("good", "dot"),
    "finished": ("good", "dot"),
    "completed": ("good", "dot"),
    "delivered": ("good", "dot"),
    "introspected": ("idle", "ring"),
    "starting": ("idle", "ring"),
    "queued": ("idle", "ring"),
    "idle": ("idle", "ring"),
    "draft": ("idle", "ring"),
    "ongoing": ("idle", "ring"),
    "resolved": ("idle", "check"),
    "new": ("warn", "diamond"),
    "regressed": ("bad", "triangle"),
    "running": ("run", "half"),
    "awaiting": ("wait", "quarter"),
    "unverified": ("wait", "quarter"),
    "waiting_input": ("wait", "quarter"),
    "invited": ("wait", "quarter"),
    "expiring": ("wait", "quarter"),
    "rotating": ("wait", "quarter"),
    "grace": ("wait", "quarter"),
    "suspended": ("warn", "pause"),
    "error": ("bad", "triangle"),
    "failed": ("bad", "triangle"),
    "failure": ("bad", "triangle"),
    "refused": ("bad", "triangle"),
    "denied": ("bad", "triangle"),
    "revoked": ("idle", "slash"),
    "decommissioned": ("idle", "slash"),
    "deleted": ("idle", "slash"),
    "archived": ("idle", "slash"),
    "deactivated": ("idle", "slash"),
    "cancelled": ("idle", "slash"),
    "expired": ("idle", "slash"),
    "void": ("idle", "slash"),
}

for formatted in (number, percent, money, duration, shortened):
    register.filter(formatted)


# Words and numbers


@register.filter
def shorten_id(value: object) -> str:
    """The id with its middle omitted: 0199c1…e2a7."""
    text = str(value or "")
    return text if len(text) <= 14 else f"{text[:6]}…{text[-4:]}"


# Time


@register.filter
def relative_time(value: datetime | None) -> str:
    """The time relative to now if less than an hour away, otherwise the time itself."""
    if not value:
        return NOTHING
    now = timezone.now()
    seconds = round((now - value).total_seconds())
    if abs(seconds) >= 3600:
        return absolute_time(value, now)
    return ago(seconds)


def ago(seconds: int) -> str:
    """How long ago a time under an hour was; js/words.js formats it identically."""
    if abs(seconds) < 5:
        return "just now"
    count = f"{abs(seconds)} s" if abs(seconds) < 60 else f"{abs(seconds) // 60} min"
    return (f"{count} ago" if seconds > 0 else f"in {count}").replace(" ", SPACE, 1)


def time_element(value: datetime, shown: str, **attributes: str) -> SafeString:
    exact = f"{timezone.localtime(value):%-d %b %Y, %H:%M:%S %Z}"
    stamp = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    attributes = {"datetime": stamp, "title": exact, **attributes}
    return format_html("<time{}>{}</time>", flatatt(attributes), shown)


@register.simple_tag
def moment(value: datetime | None) -> str:
    """A <time> that js/time.js updates: relative under an hour, else absolute, exact on hover."""
    if not value:
        return NOTHING
    absolute = absolute_time(value, timezone.now())
    return time_element(value, relative_time(value), **{"data-absolute": absolute})


@register.simple_tag
def clock(value: datetime | None) -> str:
    """A <time> that always shows the absolute time, in the monospace face."""
    if not value:
        return NOTHING
    day, comma, rest = absolute_time(value, timezone.now()).partition(", ")
    text = format_html('{}<span class="clock-rest">, {}</span>', day, rest) if comma else day
    return time_element(value, text, **{"class": "clock"})


# Marks


@register.simple_tag
def icon(name: str, css_class: str = "") -> SafeString:
    """An icon of components/sprite.html. Decoration only: it always stands beside a word."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="#icon-{}"/></svg>', css_class, name
    )


@register.simple_tag
def status(value: str, label: str = "") -> SafeString:
    """A status as icon, word and colour. An unknown status is shown in grey, not refused."""
    tone, drawing = STATUSES.get(str(value), ("idle", "ring"))
    word = label or str(value).replace("_", " ")
    return format_html('<span class="status tone-{}">{}{}</span>', tone, icon(drawing), word)


@register.simple_tag
def short_id(value: object, label: str = "id") -> str:
    """A shortened id and a button that copies the full id."""
    return render_to_string("components/short_id.html", {"value": str(value), "label": label})


@register.simple_tag
def share(value: Number | None) -> str:
    """A bar with its percentage, for tables; `value` is in hundredths."""
    width = min(max(float(value or 0), 0), 100)
    if value:
        width = max(width, 1)
    return render_to_string("components/share.html", {"value": value, "width": f"{width:.2f}"})


@register.simple_tag
def sparkline(points: Sequence[Any], label: str = "") -> str:
    """A small bar chart. A point is a number or a trend point ({count, flagged, partial})."""
    dicts = [point if isinstance(point, dict) else {"count": point} for point in points]
    highest = max((point["count"] or 0 for point in dicts), default=0) or 1
    paths: dict[str, str] = {}
    for index, point in enumerate(dicts):
        count = point["count"] or 0
        height = max(24 * count / highest, 1.5 if count else 0.5)
        kind = next((word for word in ("flagged", "partial") if point.get(word)), "full")
        bar = f"M{index * 4} 24v-{height:.2f}h3V24z"
        paths[kind] = paths.get(kind, "") + bar
    # One path for each kind of bar: pages show a hundred charts with a bar for each day.
    context = {"paths": paths.items(), "width": max(len(dicts) * 4 - 1, 1), "label": label}
    return render_to_string("components/sparkline.html", context)


@register.simple_tag(takes_context=True)
def sort_header(
    context: Context,
    label: str,
    key: str,
    numeric: bool = False,
    keep: bool = False,
    drop: bool = False,
    css_class: str = "",
) -> str:
    """A column heading that sorts. Reads `sort` ("-tokens") and `request` from the context.

    On phones a column with `keep` stays, and one with `drop` is hidden.
    """
    current = context.get("sort") or ""
    direction = {key: "ascending", f"-{key}": "descending"}.get(current, "")
    following = key if direction == "descending" else f"-{key}"
    if not direction and not numeric:
        following = key
    query = context["request"].GET.copy()
    query["sort"] = following
    for name in PLACE:
        query.pop(name, None)
    values = {
        "label": label,
        "direction": direction,
        "query": query.urlencode(),
        "numeric": numeric,
        "classes": " ".join(
            name
            for name, is_on in (
                ("number", numeric),
                ("keep", keep),
                ("drop", drop),
                (css_class, css_class),
            )
            if is_on
        ),
    }
    return render_to_string("components/sort_header.html", values)


# Blocks


@register.simple_block_tag
def page_header(
    content: SafeString,
    title: str,
    context: str = "",
    back_url: str = "",
    back_label: str = "",
    state: str = "",
) -> str:
    """The page's h1, its line of context, and its controls between the tags."""
    values = {
        "content": content,
        "title": title,
        "context": context,
        "back_url": back_url,
        "back_label": back_label,
        "state": state,
    }
    return render_to_string("components/page_header.html", values)


@register.simple_block_tag
def card(
    content: SafeString,
    title: str = "",
    summary: str = "",
    link_url: str = "",
    link_label: str = "",
    kind: str = "",
    card_id: str = "",
) -> str:
    """A panel. `kind` is "table" (less padding) or "danger"."""
    values = {
        "content": content,
        "title": title,
        "summary": summary,
        "link_url": link_url,
        "link_label": link_label,
        "kind": kind,
        "card_id": card_id,
    }
    return render_to_string("components/card.html", values)


@register.simple_block_tag
def scroll(content: SafeString, label: str) -> str:
    """A container for a table that scrolls sideways if necessary, by keyboard as well."""
    return format_html(
        '<div class="table-scroll" role="region" aria-label="{}" tabindex="0">{}</div>',
        label,
        content,
    )


@register.simple_block_tag
def menu(
    content: SafeString,
    label: str,
    css_class: str = "button",
    side: str = "",
    drawing: str = "down",
    shortcut: str = "",
) -> str:
    """A menu under a button, filled with .menu-item elements. `side` is "end", "up" or both;
    `shortcut` is the key that opens it.
    """
    values = {
        "shortcut": shortcut,
        "content": content,
        "label": label,
        "css_class": css_class,
        "sides": [f"menu-{word}" for word in side.split()],
        "drawing": drawing,
    }
    return render_to_string("components/menu.html", values)


@register.simple_block_tag
def dialog(content: SafeString, name: str, title: str) -> str:
    """A native <dialog id=name>, opened by any element with data-dialog=name."""
    return render_to_string(
        "components/dialog.html", {"content": content, "name": name, "title": title}
    )


@register.simple_block_tag
def empty(content: SafeString, title: str, command: str = "", text: str = "") -> str:
    """A notice of what will appear here and how to achieve that; buttons go between the tags."""
    values = {"content": content, "title": title, "command": command, "text": text}
    return render_to_string("components/empty.html", values)
