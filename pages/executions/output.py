"""Output of agents on a page, inside a sandboxed frame.

The frame is the second wall around output; executions/sanitizing.py is the first. It has no origin,
runs no script, submits no form, loads nothing but our styles and font, and can navigate
neither itself nor the page. Links open ordinary pages in a new tab.
"""

import re
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from executions.sanitizing import TOO_COMPLEX

POLICY = (
    "default-src 'none'; style-src {styles}; font-src {fonts}; object-src 'none'; base-uri 'none'; "
    "form-action 'none'"
)
TEXT_ALONE = re.compile("<pre>[^<]*</pre>")


def shown_result(request: HttpRequest, html: SafeString) -> dict[str, Any]:
    """A rendered result for executions/output.html."""
    return _shown(request, format_html('<div class="output" hx-disable>{}</div>', html), [html])


def shown_steps(
    request: HttpRequest, steps: list[dict[str, Any]], phases: dict[str, Any], *, has_ended: bool
) -> dict[str, Any]:
    """All steps in one document, because a frame for each would take seconds."""
    context = {"steps": steps, "phases": phases, "has_ended": has_ended}
    page = mark_safe(render_to_string("executions/steps.html", context))  # noqa: S308 - a template
    return _shown(request, page, [step.get("html", "") for step in steps])


def _shown(request: HttpRequest, page: SafeString, written: list[str]) -> dict[str, Any]:
    """The document of a frame, or just the HTML where agents wrote only text."""
    if all(not html or html == TOO_COMPLEX or TEXT_ALONE.fullmatch(html) for html in written):
        return {"html": page}
    # The frame has an opaque origin, so 'self' would match nothing.
    styles, fonts = (request.build_absolute_uri(static(each)) for each in ("css/", "fonts/"))
    policy = POLICY.format(styles=styles, fonts=fonts)
    context = {"html": page, "policy": policy}
    return {"document": render_to_string("executions/output_document.html", context)}
