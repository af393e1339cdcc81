"""Checks the Content-Type of a request before Django parses it.

Django takes quadratic time for a long one, and decodes queries and forms with whatever charset it
names, valid or not.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PROBLEM = "agentidp.content_type_problem"
"""The key in a request's environ that tells the middleware to refuse it, and why."""
MAX_CONTENT_TYPE_LENGTH = 256
PARAMETER = re.compile(r';[ \t]*(?:([!#-)+-.0-:<>-~]+)=("[^"\\]*"|[!#-+\--:<-~]*)[ \t]*)?')
"""RFC 9110 section 5.6.6, without quoted pairs and without the encodings of RFC 2231."""
ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def with_known_content_types(application: "WSGIApplication") -> "WSGIApplication":
    """Wrap the application so that it never sees a Content-Type that problem_of() rejects."""

    def wrapped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if problem := problem_of(environ.get("CONTENT_TYPE", "")):
            environ |= {"CONTENT_TYPE": "", PROBLEM: problem}
        return application(environ, start_response)

    return wrapped


def problem_of(content_type: str) -> str:
    """What is wrong with the Content-Type, as a sentence, or an empty string."""
    if len(content_type) > MAX_CONTENT_TYPE_LENGTH:
        return f"Content-Type has more than {MAX_CONTENT_TYPE_LENGTH} characters."
    _, semicolon, rest = content_type.rstrip().partition(";")
    place, parameters = 0, f"{semicolon}{rest}"
    while place < len(parameters):
        match = PARAMETER.match(parameters, place)
        if match is None:
            return "The parameters of Content-Type cannot be read."
        name, value = match.groups(default="")
        if name.lower() == "charset" and value.strip('"').lower() not in ENCODINGS:
            return "Content-Type names an encoding other than UTF-8. Send UTF-8."
        place = match.end()
    return ""
