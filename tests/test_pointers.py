"""Files named in comments of templates, scripts and style sheets exist under that full name."""

import re
from pkgutil import resolve_name

import pytest
from django.conf import settings

COMMENTS = {
    "html": re.compile(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", re.DOTALL),
    "js": re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL),
    "css": re.compile(r"/\*.*?\*/", re.DOTALL),
}
OURS = "|".join(file.parent.name for file in settings.BASE_DIR.glob("*/__init__.py"))
POINTER = re.compile(rf"(?<![\w./-])(?:{OURS})(?:\.[A-Za-z_]\w*)+(?![\w/-])")
FILES = [
    path
    for folder in ("templates", "static")
    for kind in COMMENTS
    for path in sorted((settings.BASE_DIR / folder).rglob(f"*.{kind}"))
]
POINTERS = [
    (path.relative_to(settings.BASE_DIR), name)
    for path in FILES
    for comment in COMMENTS[path.suffix[1:]].findall(path.read_text())
    for name in POINTER.findall(comment)
    if not name.endswith((".js", ".css", ".html", ".py"))
]


@pytest.mark.parametrize(("path", "name"), POINTERS, ids=str)
def test_files_and_names_in_comments_exist(path: object, name: str) -> None:
    assert resolve_name(name)


def test_there_are_such_comments() -> None:
    assert len(POINTERS) >= 5
