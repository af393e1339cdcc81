"""What a person is asked before something that cannot easily be taken back.

A dialog asks on the page that has the button; where no script runs, the button leads to a page that
asks the same. Both show one Confirmation. Its address asks when it is opened (GET) and acts when
the form is sent (POST).
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
    """The words of one question, and where its answer goes."""

    address: str
    """Where the form is sent, and where the question is asked without a script."""
    key: str
    """The dialog's id, unique in its page."""
    button: str
    """What the button on the page says."""
    title: str
    text: str
    """The consequence; goes on from the subject."""
    subject: str = ""
    verb: str = ""
    """What the button that does it says; `button` where it says no more."""
    label: Any = ""
    """What the button is about, for those who do not see the row that it stands in."""
    facts: tuple[str, ...] = ()
    """Sentences of what goes with it."""
    must_type: str = ""
    """What a person has to type first (letters, digits, `_` and `-`): this hurts at once."""
    why_type: str = ""
    """The sentence before the field."""
    is_dangerous: bool = True

    @property
    def answer(self) -> str:
        return self.verb or self.button


def ask_first(
    request: HttpRequest, asked: Confirmation, *, back: str, back_label: str
) -> HttpResponse | None:
    """The page that asks; None once the person has answered, and the view may act.

    `back` is the address that a person goes to who would rather not.
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
    """Make the change; the next page shows the sentence, or the rule that refused it."""
    try:
        change()
    except DomainError as error:
        messages.error(request, error.message)
        return False
    messages.success(request, sentence)
    return True
