"""The typeface of the pages: Inter, cut down to what they use.

The package has every script and weight in 880 KB. `collectstatic`, or a server that has no
collected files, makes the 28 KB that pages load, once: a deployment has no further step.
"""

from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import FileSystemFinder
from django.core.checks import CheckMessage
from django.core.files.storage import FileSystemStorage

FOLDER = "fonts"
FONT = "inter.woff2"
LICENSE = "inter-license.txt"
"""The Open Font License wants its text beside the font."""

LETTERS = [*range(0x20, 0x7F), *range(0xA0, 0x180)]
"""ASCII, Latin-1 and Latin Extended-A: names of people from Lisbon to Vilnius."""
SIGNS = "ẞ–—‘’‚“”„†•…‰′″‹›™€₹₽−≈≠≤≥∞←↑→↓↗⌘⌥⇧⏎▲▼"  # noqa: RUF001
WEIGHTS = (400, 650)
SIZE = 14
"""The optical size of text. The font has another for headlines, which pages do not use."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FEATURES = ["kern", "tnum"]
"""Without "calt", which draws "a->b" with an arrow and the x of "2x3" as a sign: names must look as
they are written."""


class FontFinder(FileSystemFinder):
    """Finds the fonts among the static files. They are made when a file or a list is asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Nothing yet: Django's checks make a finder in every command."""

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        return []

    @cached_property
    def locations(self) -> list[tuple[str, str]]:  # type: ignore[override]
        return [(FOLDER, str(made_fonts()))]

    @cached_property
    def storages(self) -> dict[str, FileSystemStorage]:  # type: ignore[override]
        made = {}
        for prefix, root in self.locations:
            made[root] = FileSystemStorage(location=root)
            made[root].prefix = prefix  # type: ignore[attr-defined]
        return made


def made_fonts() -> Path:
    """The folder with the font and its license, made anew if package or recipe are others."""
    recipe = [Path(__file__).read_text(), version("fontpkg-inter"), version("fonttools")]
    folder = settings.DATA_DIR / FOLDER / sha256("".join(recipe).encode()).hexdigest()[:12]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as unfinished:
        made = Path(unfinished) / "made"
        made.mkdir()
        package = files("fontpkg_inter")
        _make_font(str(package / "files" / "Inter[opsz,wght].ttf"), made / FONT)
        (made / LICENSE).write_text((package / "LICENSE").read_text())
        try:
            made.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    return folder


def _make_font(source: str, target: Path) -> None:
    # Here, because servers with collected files never need them.
    from fontTools import subset
    from fontTools.varLib import instancer

    options = subset.Options(layout_features=FEATURES, hinting=False, flavor="woff2")
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes={*LETTERS, *map(ord, SIGNS)})
    limits = {"opsz": SIZE, "wght": WEIGHTS}
    with subset.load_font(source, options) as font:
        _leave_words_alone(font)
        subsetter.subset(font)
        instancer.instantiateVariableFont(font, limits, inplace=True)
        subset.save_font(font, str(target), options)


def _leave_words_alone(font: Any) -> None:
    """Let tabular figures be digits only: Inter also widens hyphens and spaces, and names in tables
    have those."""
    table = font["GSUB"].table
    for feature in table.FeatureList.FeatureRecord:
        if feature.FeatureTag == "tnum":
            for index in feature.Feature.LookupListIndex:
                for part in table.LookupList.Lookup[index].SubTable:
                    part.mapping = {name: part.mapping[name] for name in DIGITS}
