"""Static files, served before Django sees the request.

Installation collects them under names with a content hash, and compressed. If the current files
have not been collected, those of the source tree are served.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, StaticFilesStorage
from django.contrib.staticfiles.utils import matches_patterns
from whitenoise import WhiteNoise
from whitenoise.storage import CompressedManifestStaticFilesStorage

from core.fonts import FOLDER

if TYPE_CHECKING:
    from wsgiref.headers import Headers
    from wsgiref.types import WSGIApplication

MANIFEST = ManifestStaticFilesStorage.manifest_name
STYLES = ManifestStaticFilesStorage.patterns[0][1][:2]
BUNDLED = (r'(?P<matched>@import "(?P<url>[^"]+)";\n)', "")
IMPORTS: Any = ManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]  # type: ignore[attr-defined]


class CollectedFilesConfig(StaticFilesConfig):
    """Django's app, restricted to files that pages use, because compressing a file is slow."""

    ignore_patterns = [
        *StaticFilesConfig.ignore_patterns,
        *("*.map", "*.mjs", "htm*-4*", "htmx-2.js", "ext"),
        *("redoc", "swagger-ui-standalone-preset.js", "rest_framework"),
    ]


class HashedStorage(CompressedManifestStaticFilesStorage):
    """Hashes the names in AgentIdP's JavaScript imports as well."""

    # Omits Django's patterns for source maps, which are not collected.
    patterns = (("css/*.css", (BUNDLED,)), ("*.css", STYLES), ("js/*.js", IMPORTS))

    keep_intermediate_files = False

    def url_converter(self, name: str, hashed_files: Any, template: Any = None) -> Any:
        """Inline the imports of AgentIdP's style sheets: a browser would otherwise request the
        parts only after it has read the first file."""
        if template != BUNDLED[1]:
            return super().url_converter(name, hashed_files, template)

        def part(match: re.Match[str]) -> str:
            with self.open(f"{name.rpartition('/')[0]}/{match['url']}") as file:
                return str(file.read().decode())

        return part

    def compress_files(self, paths: set[str]) -> Iterator[tuple[str, str]]:
        """Compress only the files with a hash in their name, which pages use."""
        yield from super().compress_files(paths & set(self.hashed_files.values()))

    def url(self, name: str | None, force: bool = False) -> str:
        if settings.SERVES_COLLECTED_FILES:
            return super().url(name, force)
        return StaticFilesStorage.url(self, name)


class FileServer(WhiteNoise):
    """Serves the files that would be collected, also straight from the source tree."""

    FOREVER = 365 * 24 * 3600

    def add_file_to_dictionary(self, url: str, path: str, stat_cache: Any = None) -> None:
        parts = url.removeprefix(settings.STATIC_URL).split("/")
        if not any(matches_patterns(part, CollectedFilesConfig.ignore_patterns) for part in parts):
            super().add_file_to_dictionary(url, path, stat_cache)


def are_collected(sources: Path, collected: Path) -> bool:
    """Whether the collected files match the current source, before hashing."""
    if not (collected / MANIFEST).exists():
        return False
    for path in sources.rglob("*"):
        copy = collected / path.relative_to(sources)
        if path.is_file() and not (copy.is_file() and copy.read_bytes() == path.read_bytes()):
            return False
    return True


def with_static_files(application: "WSGIApplication") -> "WSGIApplication":
    """Wrap the application to serve static files.

    WhiteNoise's Django middleware would do this too, but adds work to every other request.
    """
    hashed = set(HashedStorage().hashed_files.values()) if settings.SERVES_COLLECTED_FILES else {}

    def is_immutable(path: str, url: str) -> bool:
        return url.removeprefix(settings.STATIC_URL) in hashed

    server = FileServer(
        application,
        autorefresh=settings.DEBUG,
        max_age=0 if settings.DEBUG else 60,
        allow_all_origins=False,
        add_headers_function=_add_headers,
        immutable_file_test=is_immutable,
    )
    if settings.SERVES_COLLECTED_FILES:
        server.add_files(settings.STATIC_ROOT, settings.STATIC_URL)
        return server
    for finder in get_finders():
        for storage in finder.storages.values():  # type: ignore[attr-defined]
            prefix = getattr(storage, "prefix", None) or ""
            server.add_files(storage.location, settings.STATIC_URL + prefix)
    return server


def _add_headers(headers: "Headers", path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    if url.startswith(f"{settings.STATIC_URL}{FOLDER}/"):
        # For frames with output of agents: they have no origin, and fonts are bound to one.
        headers["Access-Control-Allow-Origin"] = "*"
