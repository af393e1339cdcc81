"""Pages with a form: what it is bound to, and how a refusal of the change is told in it."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from core.errors import DomainError, TooManyRequests
from core.formatting import counted

Result = TypeVar("Result")


def submitted_data(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: the body of a POST, nothing when the page is only opened."""
    return request.POST if request.method == "POST" else None


def run_change(form: BaseForm, change: Callable[[], Result]) -> Result | None:
    """Run the change; a rule of the domain that it breaks becomes an error of the form."""
    try:
        return change()
    except TooManyRequests as error:
        postpone(form, error)
        return None
    except DomainError as error:
        field = next((name for name in error.details if name in form.fields), None)
        form.add_error(field, error.message)
        return None


def status_of(form: BaseForm) -> int:
    """The status of a page that shows the form: 400 if a field has an error, else 200."""
    return 400 if form.errors else 200


def postpone(form: BaseForm, refusal: TooManyRequests) -> None:
    """The form has to be sent again, later."""
    is_busy = refusal.status == HTTPStatus.SERVICE_UNAVAILABLE
    seconds = refusal.retry_after
    is_short = seconds < 120
    left = counted(seconds, "seconds") if is_short else counted(-(-seconds // 60), "minutes")
    wait = f"Too many attempts. Wait {left} and try again."
    form.add_error(None, refusal.message if is_busy else wait)
    form.refusal = refusal  # type: ignore[attr-defined]


def form_page(
    request: HttpRequest, template: str, form: BaseForm, *others: BaseForm, **context: object
) -> HttpResponse:
    """A page that shows the form as it was accepted: 429 or 503 when it has to wait.

    `others` stand on the page beside it.
    """
    forms = (form, *others)
    refusals: list[TooManyRequests] = [each.refusal for each in forms if hasattr(each, "refusal")]
    refusal = next(iter(refusals), None)
    status = refusal.status if refusal else max(map(status_of, forms))
    response = render(request, template, {"form": form, **context}, status=status)
    if refusal:
        response["Retry-After"] = str(refusal.retry_after)
    return response
