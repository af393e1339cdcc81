"""The confirmation that is asked before a change that cannot easily be undone.

A dialog asks on the page that has the button; without JavaScript the button leads to a page that
asks the same. Both show a Confirmation. Its URL asks on GET and acts on POST.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.errors import DomainError

ASKING_METHODS = ("GET", "HEAD", "POST")


@dataclass(frozen=True)
class Confirmation:
    """The texts of a confirmation and its URL."""

    address: str
    """The URL that acts on POST, and that asks on GET for browsers without JavaScript."""
    key: str
    """The dialog's id, unique in its page."""
    button: str
    """The label of the button on the page."""
    title: str
    text: str
    """The consequence; continues the sentence that begins with the subject."""
    subject: str = ""
    verb: str = ""
    """The label of the button that acts; defaults to `button`."""
    label: Any = ""
    """What the button refers to, for screen readers, which do not convey the surrounding row."""
    facts: tuple[str, ...] = ()
    """Sentences about what is affected."""
    must_type: str = ""
    """The text to type first (letters, digits, `_` and `-`), where the change does immediate
    harm.
    """
    why_type: str = ""
    """The sentence before that field."""
    is_dangerous: bool = True

    @property
    def answer(self) -> str:
        return self.verb or self.button


def ask_first(
    request: HttpRequest, asked: Confirmation, *, back: str, back_label: str
) -> HttpResponse | None:
    """The page that asks; None once the person has confirmed and the view may act.

    `back` is the URL of the link that cancels.
    """
    is_answer = request.method == "POST"
    is_wrong = is_answer and request.POST.get("typed", "").strip() != asked.must_type
    if is_answer and not (is_wrong and asked.must_type):
        return None
    context = {"asked": asked, "back": back, "back_label": back_label, "is_wrong": is_wrong}
    return render(
        request, "components/confirm_page.html", context, status=400 if is_wrong else None
    )


def is_done(request: HttpRequest, change: Callable[[], object], sentence: str) -> bool:
    """Make the change and return whether it succeeded; the next page shows `sentence` or the
    refusal.
    """
    try:
        change()
    except DomainError as error:
        messages.error(request, error.message)
        return False
    messages.success(request, sentence)
    return True
