"""Terminal output with ANSI colours as HTML."""

import re

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from rich.color import Color, ColorSystem
from rich.style import Style
from rich.text import Text

from executions.long_words import with_breaks

MAX_CHARACTERS = 128 * 1024
"""The maximum length of a message; only the beginning of a longer one is shown."""
COLOURING = re.compile(r"\x1b\[[0-9;:]*m")
MAX_COLOURING_LENGTH = 200
"""Characters of one escape sequence. Longer ones are ignored: Python refuses to parse a number
of thousands of digits.
"""
# All other control sequences: cursor movement, clearing, titles, links. Removed
# beforehand, also because rich needs quadratic time for links that never end.
CONTROL_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-OQ-WYZ\\`-~])"
    r"|\x1b(?!\[[0-9;:]*m)|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]"
)
RETURN = re.compile(r"^.*\r(?=[^\n])", re.MULTILINE)
BACKSPACES = re.compile(r"(\x08+)")
WRITTEN = re.compile(f"({CONTROL_SEQUENCES.pattern}|{COLOURING.pattern})|.")
ATTRIBUTES = ("bold", "dim", "italic", "underline", "strike")


def ansi_as_html(message: str) -> SafeString:
    """The text as escaped HTML, in spans with classes such as `ansi-bold`, `ansi-fg-1`,
    `ansi-bg-12`.

    A line overwritten by carriage returns or backspaces is shown in its last state.
    """
    text = with_breaks(CONTROL_SEQUENCES.sub("", last_states(message[:MAX_CHARACTERS])))
    text = COLOURING.sub(
        lambda found: found[0] if len(found[0]) <= MAX_COLOURING_LENGTH else "", text
    )
    if "\x1b" not in text:
        html = format_html("{}", text)
    else:
        html = _coloured(Text.from_ansi(text, end=""))
    if len(message) > MAX_CHARACTERS:
        return format_html("{}\n… cut off: {} characters in all", html, len(message))
    return html


def last_states(text: str) -> str:
    """The text with each line as a terminal finally shows it.

    A progress bar overwrites its line after a carriage return, a spinner after backspaces.
    """
    text = RETURN.sub("", text.replace("\r\n", "\n").rstrip("\r"))
    if "\b" not in text:
        return text
    return "\n".join(_apply_backspaces(line) if "\b" in line else line for line in text.split("\n"))


def _apply_backspaces(line: str) -> str:
    """The line after its backspaces: each moves one character back without deleting; colour
    codes have no width.
    """
    cells: list[list[str]] = []
    place = 0
    colours: list[str] = []
    for number, part in enumerate(BACKSPACES.split(line)):
        if number % 2:
            place = max(place - len(part), 0)
            continue
        for found in WRITTEN.finditer(part):
            if found[1] is not None:
                colours.append(found[0])
                continue
            if place == len(cells):
                cells.append([""])
            cells[place][-1:] = [*colours, found[0]]
            colours = []
            place += 1
    return "".join("".join(cell) for cell in cells) + "".join(colours)


def _coloured(text: Text) -> SafeString:
    """The text as HTML spans. Spans from rich never overlap: each begins where the style
    changes.
    """
    plain = text.plain
    parts = []
    place = 0
    for span in text.spans:
        parts.append(("", plain[place : span.start]))
        parts.append((_classes(span.style), plain[span.start : span.end]))
        place = span.end
    parts.append(("", plain[place:]))
    return format_html_join("", "{}", ((_span(classes, part),) for classes, part in parts if part))


def _span(classes: str, part: str) -> SafeString:
    if not classes:
        return format_html("{}", part)
    return format_html('<span class="{}">{}</span>', classes, part)


def _classes(style: Style | str) -> str:
    if isinstance(style, str):
        return ""
    names = [f"ansi-{name}" for name in ATTRIBUTES if getattr(style, name)]
    for kind, colour in (("fg", style.color), ("bg", style.bgcolor)):
        if number := _number(colour):
            names.append(f"ansi-{kind}-{number}")
    return " ".join(names)


def _number(colour: Color | None) -> str:
    """The number of the nearest of the sixteen colours, for which the design has its own shades."""
    if colour is None or colour.is_default:
        return ""
    nearest = colour.downgrade(ColorSystem.STANDARD).number
    return "" if nearest is None else str(nearest)
