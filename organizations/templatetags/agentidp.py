"""How the product writes numbers, times and statuses, and its block components.

`docs/explanation/design-system.md` lists every component with its context.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django import template
from django.forms.utils import flatatt
from django.template import Context
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from organizations.pages import PLACE

register = template.Library()

NOTHING = "\N{EN DASH}"  # stands for "no value" in every table
SPACE = "\N{NO-BREAK SPACE}"
SMALLEST_AMOUNT = Decimal("0.0001")
CURRENCY_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}

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

Number = int | float | Decimal


# Words and numbers


@register.filter
def shorten_id(value: object) -> str:
    """The id with its middle left out: 0199c1…e2a7."""
    text = str(value or "")
    return text if len(text) <= 14 else f"{text[:6]}…{text[-4:]}"


@register.filter
def number(value: Number | None) -> str:
    """Digits in groups of three: 48,210. Nothing becomes a dash, never a zero."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}"
    if 0 < value < Decimal("0.1"):
        return f"<{SPACE}0.1"
    return f"{value:,.1f}"


@register.filter
def percent(value: Number | None) -> str:
    """A value that already counts in hundredths, with at most one decimal: 6.1 %. Something is
    never rounded to nothing, nor not quite all to all."""
    if value is None or value == "":
        return NOTHING
    if 0 < value < Decimal("0.1"):
        return f"< 0.1{SPACE}%"
    if Decimal("99.9") < value < 100:
        return f"> 99.9{SPACE}%"
    return f"{value:,.1f}".removesuffix(".0") + f"{SPACE}%"


@register.filter
def money(value: Number | None, currency: str = "USD") -> str:
    """An amount with its currency; cents of a dollar need four decimals: $ 0.0021."""
    if value is None or value == "":
        return NOTHING
    amount = Decimal(str(value))
    if 0 < amount < SMALLEST_AMOUNT:
        return f"<{SPACE}{money(SMALLEST_AMOUNT, currency)}"
    digits = 4 if 0 < abs(amount) < 1 else 2
    return f"{CURRENCY_SIGNS.get(currency, currency)}{SPACE}{amount:,.{digits}f}"


@register.filter
def duration(value: Number | timedelta | None) -> str:
    """Milliseconds or a timedelta in the two largest units: 2 m 10 s."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, timedelta):
        value = value.total_seconds() * 1000
    if 0 < value < 1:
        return f"<{SPACE}1{SPACE}ms"
    milliseconds = round(value)
    if milliseconds < 1000:
        return f"{milliseconds}{SPACE}ms"
    if milliseconds < 10_000 and milliseconds % 1000:
        return f"{milliseconds / 1000:.1f}".removesuffix(".0") + f"{SPACE}s"
    seconds = round(milliseconds / 1000)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        parts = f"{days} d {hours % 24} h"
    elif hours:
        parts = f"{hours} h {minutes % 60:02d} m"
    elif minutes:
        parts = f"{minutes} m {seconds % 60:02d} s"
    else:
        parts = f"{seconds} s"
    return parts.replace(" ", SPACE)


# Time


def absolute_time(moment: datetime, now: datetime) -> str:
    """Today as a clock time, other days with their date, other years with their year."""
    moment = timezone.localtime(moment)
    today = timezone.localtime(now)
    if moment.date() == today.date():
        return moment.strftime("%H:%M:%S")
    day = f"{moment.day} {moment:%b}"
    if moment.year != today.year:
        return f"{day} {moment.year}"
    return f"{day}, {moment:%H:%M}"


@register.filter
def relative_time(value: datetime | None) -> str:
    """Under an hour how long ago (or until), else the time itself."""
    if not value:
        return NOTHING
    now = timezone.now()
    seconds = round((now - value).total_seconds())
    if abs(seconds) >= 3600:
        return absolute_time(value, now)
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
    """A <time> kept fresh by js/time.js: relative under an hour, else absolute, exact on hover."""
    if not value:
        return NOTHING
    absolute = absolute_time(value, timezone.now())
    return time_element(value, relative_time(value), **{"data-absolute": absolute})


@register.simple_tag
def clock(value: datetime | None) -> str:
    """A <time> that always shows the time itself, in the monospace face."""
    if not value:
        return NOTHING
    day, comma, rest = absolute_time(value, timezone.now()).partition(", ")
    text = format_html('{}<span class="clock-rest">, {}</span>', day, rest) if comma else day
    return time_element(value, text, **{"class": "clock"})


# Marks


@register.simple_tag
def icon(name: str, css_class: str = "") -> SafeString:
    """One drawing of components/sprite.html. Decoration only: a word always stands beside it."""
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
    """A shortened id and a button that copies the whole of it."""
    return render_to_string("components/short_id.html", {"value": str(value), "label": label})


@register.simple_tag
def share(value: Number | None) -> str:
    """A bar and its percentage, for tables; `value` counts in hundredths."""
    width = min(max(float(value or 0), 0), 100)
    if value:
        width = max(width, 1)
    return render_to_string("components/share.html", {"value": value, "width": f"{width:.2f}"})


@register.simple_tag
def sparkline(points: Sequence[Any], label: str = "") -> str:
    """Small bars. A point is a number or a trend point ({count, flagged, partial})."""
    dicts = [point if isinstance(point, dict) else {"count": point} for point in points]
    highest = max((point["count"] or 0 for point in dicts), default=0) or 1
    paths: dict[str, str] = {}
    for index, point in enumerate(dicts):
        count = point["count"] or 0
        height = max(24 * count / highest, 1.5 if count else 0.5)
        kind = next((word for word in ("flagged", "partial") if point.get(word)), "full")
        bar = f"M{index * 4} 24v-{height:.2f}h3V24z"
        paths[kind] = paths.get(kind, "") + bar
    # One path a kind: pages show a hundred of these, each with a bar a day.
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
) -> str:
    """A column heading that sorts. Reads `sort` ("-tokens") and `request` from the context.

    A phone shows a column that is to `keep`, and hides one that is to `drop`.
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
            name for name, is_on in (("number", numeric), ("keep", keep), ("drop", drop)) if is_on
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
    """The page's one h1, its line of context, and its controls between the tags."""
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
    """Holds a table; scrolls sideways when it must, and then the keyboard can scroll it too."""
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
) -> str:
    """A menu under a button, filled with .menu-item elements. `side` is "end", "up" or both."""
    values = {
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
    """What will appear here and how to make it appear; buttons go between the tags."""
    values = {"content": content, "title": title, "command": command, "text": text}
    return render_to_string("components/empty.html", values)
