"""CSV output (RFC 4180) that spreadsheets do not execute as formulas (ASVS 5.0, 1.2.10)."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from core.negotiation import LenientContentNegotiation
from core.renderers import JSONRenderer

FORMATS = ("json", "csv")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", *"\uff1d\uff0b\uff0d\uff20")
"""Includes the full-width signs, which some spreadsheets treat like the ASCII ones."""
BYTE_ORDER_MARK = "\ufeff"


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """The table as CSV: CRLF line ends, doubled quotes, and no text that could start a formula."""
    return "".join(csv_lines(header, rows))


def csv_lines(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Like csv_text(), but line by line, for tables that may be long."""
    return map(csv_line, chain([header], rows))


def csv_line(row: Iterable[Any]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\r\n").writerow([_cell(value) for value in row])
    return file.getvalue()


def for_spreadsheets(lines: Iterable[str]) -> Iterator[str]:
    """Prepend a byte order mark, by which spreadsheets recognize UTF-8.

    For files that people save from a page; the API's CSV has none.
    """
    return chain([BYTE_ORDER_MARK], lines)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "'" + value.replace("\0", "")
    return value.replace("\0", "") if isinstance(value, str) else value


class CsvRenderer(BaseRenderer):
    """Writes the rows under `data`; the view names the columns and the file."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        context = renderer_context or {}
        context["response"]["Content-Disposition"] = (
            f'attachment; filename="{context["view"].csv_name}.csv"'
        )
        columns: tuple[str, ...] = context["view"].csv_columns
        rows = [[row.get(column) for column in columns] for row in data["data"]]
        return csv_text(columns, rows).encode()


class FormatNegotiation(LenientContentNegotiation):
    """Lets `?format=csv` or `?format=json` override the Accept header, for links and browsers."""

    def select_renderer(
        self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> Any:
        renderers = list(renderers)
        wanted = request.query_params.get("format")
        for renderer in renderers:
            if renderer.format == wanted:
                return renderer, renderer.media_type
        return super().select_renderer(request, renderers, format_suffix)


class CsvResponses(GenericViewSet):
    """For viewsets that also answer with CSV. Errors are always JSON."""

    renderer_classes = [JSONRenderer, CsvRenderer]
    content_negotiation_class = FormatNegotiation
    csv_columns: tuple[str, ...] = ()
    csv_name = ""

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if response.status_code >= 400:
            response.accepted_renderer = JSONRenderer()
            response.accepted_media_type = JSONRenderer.media_type
        return response
