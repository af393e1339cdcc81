"""Checks of file names. The storage knows a file only by its id, so names are mere text; those
that could harm whoever downloads the file later are refused all the same.
"""

import re
import unicodedata
from urllib.parse import unquote

from django.core.exceptions import ValidationError

MAX_PATH_LENGTH, MAX_PART_LENGTH = 1024, 255
DRIVE = re.compile(r"[A-Za-z]:")
DEVICES = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³])(?:\..*)?", re.IGNORECASE)
DIRECTIONS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make a name display as another one."""
UNSEEN = frozenset({"Cc", "Cs", "Cn", "Co", "Zl", "Zp"})
"""Unicode categories: control, surrogate, unassigned, private use, line and paragraph
separators.
"""


def validate_path(path: str) -> None:
    """Raise ValidationError unless the path is relative and each of its parts is a plain name."""
    if not path or len(path) > MAX_PATH_LENGTH:
        raise ValidationError(f"Use 1 to {MAX_PATH_LENGTH} characters.")
    if path.startswith("/") or DRIVE.match(path):
        raise ValidationError("Use a relative path.")
    if "\\" in path:
        raise ValidationError("Separate folders with /.")
    if any(unicodedata.category(c) in UNSEEN or c in DIRECTIONS for c in path):
        raise ValidationError("The path contains characters that cannot be seen.")
    for part in path.split("/"):
        _validate_part(part)


def _validate_part(part: str) -> None:
    plain = unquote(part)
    if not part or plain in {".", ".."} or "/" in plain or "\\" in plain:
        raise ValidationError("A part of the path is empty or leads elsewhere.")
    if len(part.encode()) > MAX_PART_LENGTH:
        raise ValidationError(f"A name in the path is longer than {MAX_PART_LENGTH} bytes.")
    if part.startswith((".", "-", "~", " ")) or part.endswith((".", " ")):
        raise ValidationError(
            "A name in the path begins with a dot, hyphen, tilde or space, or ends with a dot "
            "or space."
        )
    if DEVICES.fullmatch(part):
        raise ValidationError("A name in the path is that of a device.")
