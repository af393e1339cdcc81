import gzip
import re
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import brotli
import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.finders import get_finders
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.templatetags.static import static
from django.test import override_settings
from django.utils.module_loading import import_string

from core import fonts
from core.static_files import CollectedFilesConfig, are_collected, with_static_files

SOURCE = settings.BASE_DIR / "static"
YEAR = "max-age=31536000, public, immutable"


def get(path: str, **environ: Any) -> tuple[str, dict[str, str], bytes]:
    environ["PATH_INFO"] = path
    setup_testing_defaults(environ)
    answer: list[Any] = []
    body = with_static_files(WSGIHandler())(environ, lambda *start: answer.extend(start))
    with closing(body) if hasattr(body, "close") else nullcontext():
        return answer[0], dict(answer[1]), b"".join(body)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files as `collectstatic` leaves them."""
    made = tmp_path_factory.mktemp("collected")
    with override_settings(**own_files(made)):
        call_command("collectstatic", interactive=False, verbosity=0)
    return made


@pytest.fixture
def collected(folder: Path) -> Iterator[None]:
    """Serve the collected files."""
    with override_settings(
        **own_files(folder), SERVES_COLLECTED_FILES=True, STORAGES=dict(settings.STORAGES)
    ):
        yield


def own_files(folder: Path) -> dict[str, Any]:
    return {
        "STATIC_ROOT": folder,
        "STATICFILES_DIRS": [SOURCE],
        "STATICFILES_FINDERS": [
            "django.contrib.staticfiles.finders.FileSystemFinder",
            "core.fonts.FontFinder",
        ],
    }


def test_a_static_file_is_served() -> None:
    status, headers, body = get("/static/css/base.css")

    assert status == "200 OK"
    assert headers["Content-Type"].startswith("text/css")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert b"{" in body


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "django_htmx/htmx-2.js",
        "drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js",
        "rest_framework/css/bootstrap.min.css",
    ],
)
def test_files_that_no_page_uses_are_not_served_from_source(path: str) -> None:
    assert finders.find(path)

    assert get(f"/static/{path}")[0] != "200 OK"


def test_files_of_installed_apps_are_served() -> None:
    assert get("/static/django_htmx/django-htmx.js")[0] == "200 OK"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/static/../settings.py", "/static/none.css", "/livez/none"])
def test_everything_else_reaches_django(path: str) -> None:
    status, headers, _ = get(path)

    assert status == "404 Not Found"
    assert headers["Cache-Control"] == "no-store"


def test_no_middleware_makes_django_change_threads() -> None:
    middleware = [import_string(name) for name in settings.MIDDLEWARE]

    assert all(getattr(one, "sync_capable", True) for one in middleware)


@pytest.mark.parametrize(
    ("accepted", "encoding", "open_it"),
    [
        ("gzip, deflate, br", "br", brotli.decompress),
        ("gzip", "gzip", gzip.decompress),
        ("", None, bytes),
    ],
)
def test_a_collected_file_is_named_by_its_content_compressed_and_kept_for_a_year(
    collected: None, accepted: str, encoding: str | None, open_it: Any
) -> None:
    url = static("css/layout.css")

    status, headers, body = get(url, HTTP_ACCEPT_ENCODING=accepted)

    assert re.fullmatch(r"/static/css/layout\.[0-9a-f]{12}\.css", url)
    assert (status, headers["Cache-Control"]) == ("200 OK", YEAR)
    assert headers.get("Content-Encoding") == encoding
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert open_it(body) == (SOURCE / "css" / "layout.css").read_bytes()


def test_a_name_without_its_hash_is_kept_for_a_minute(collected: None) -> None:
    assert get("/static/css/layout.css")[1]["Cache-Control"] == "max-age=60, public"


def test_modules_import_each_other_by_the_names_that_pages_use(collected: None) -> None:
    imported = {}
    for path in (SOURCE / "js").glob("*.js"):
        _, _, body = get(static(f"js/{path.name}"))
        imported |= dict.fromkeys(re.findall(r'from "\./(.+?)"', body.decode()), path.name)

    names = {static(f"js/{path.name}").rpartition("/")[2] for path in (SOURCE / "js").glob("*.js")}
    assert len(imported) >= 4
    assert set(imported) <= names


@pytest.mark.parametrize("name", ["site", "app", "admin"])
def test_a_bundle_of_styles_is_one_file_with_all_its_parts(collected: None, name: str) -> None:
    parts = re.findall(r'@import "(.+)";', (SOURCE / "css" / f"{name}.css").read_text())

    _, _, body = get(static(f"css/{name}.css"))

    assert len(parts) >= 3
    assert b"@import" not in body
    body = re.sub(rb"\.[0-9a-f]{12}\.woff2", b".woff2", body)
    assert all((SOURCE / "css" / part).read_bytes() in body for part in parts)


def test_styles_of_the_frame_stay_in_their_folder(collected: None) -> None:
    """The frame's policy allows only that folder."""
    assert static("css/") == "/static/css/"
    assert static("css/output.css").startswith("/static/css/")


def test_outdated_collected_files_are_not_used(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "collected"
    for each in (source, folder):
        (each / "js").mkdir(parents=True)
        (each / "js" / "a.js").write_text("1")
    assert not are_collected(source, folder)  # without a manifest their names are unknown
    (folder / "staticfiles.json").write_text("{}")
    assert are_collected(source, folder)

    (source / "js" / "a.js").write_text("2")

    assert not are_collected(source, folder)
    (source / "js" / "a.js").write_text("1")
    (source / "js" / "b.js").write_text("1")
    assert not are_collected(source, folder)


def test_only_files_that_pages_use_are_collected() -> None:
    sizes = {}
    for finder in get_finders():
        for path, storage in finder.list(CollectedFilesConfig.ignore_patterns):
            prefix = getattr(storage, "prefix", None)
            sizes[f"{prefix}/{path}" if prefix else path] = storage.size(path)
    templates = (settings.BASE_DIR / "templates").rglob("*.html")
    asked = re.findall(r"{% static '(.+?)'", " ".join(each.read_text() for each in templates))

    assert len(asked) > 30
    assert set(asked) | {"django_htmx/htmx-2.min.js", "admin/css/base.css"} <= set(sizes)
    assert not [name for name in sizes if name.endswith(".map")]
    assert sum(sizes.values()) < 5 * 1024**2


def test_the_collected_font_is_kept_for_a_year_and_named_by_the_styles(collected: None) -> None:
    url = static(f"fonts/{fonts.FONT}")

    status, headers, _ = get(url)

    assert (status, headers["Cache-Control"]) == ("200 OK", YEAR)
    _, _, styles = get(static("css/site.css"))
    assert f'url("../fonts/{url.rpartition("/")[2]}")'.encode() in styles
    assert "Access-Control-Allow-Origin" not in get(static("css/site.css"))[1]


def test_the_font_and_its_license_are_served_from_source() -> None:
    for name, kind in ((fonts.FONT, "font/woff2"), (fonts.LICENSE, "text/plain")):
        status, headers, body = get(f"/static/fonts/{name}")

        assert status == "200 OK"
        assert headers["Content-Type"].startswith(kind)
        assert headers["Access-Control-Allow-Origin"] == "*"  # frames of output have no origin
    assert b"SIL OPEN FONT LICENSE Version 1.1" in body
