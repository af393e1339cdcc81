"""Pages with a form: binding it, and showing a refused change as its error."""

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
    """The data to bind a form to: the body of a POST, otherwise None."""
    return request.POST if request.method == "POST" else None


def run_change(form: BaseForm, change: Callable[[], Result]) -> Result | None:
    """Make the change; a violated domain rule becomes an error of the form."""
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
    """The status of the form's page: 400 if a field has an error, otherwise 200."""
    return 400 if form.errors else 200


def postpone(form: BaseForm, refusal: TooManyRequests) -> None:
    """Tell the person to send the form again later."""
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
    """A page with a form, with status 200, or 400, 429 or 503 after a refusal.

    `others` are further forms of the page, which may have been refused instead.
    """
    forms = (form, *others)
    refusals: list[TooManyRequests] = [each.refusal for each in forms if hasattr(each, "refusal")]
    refusal = next(iter(refusals), None)
    status = refusal.status if refusal else max(map(status_of, forms))
    response = render(request, template, {"form": form, **context}, status=status)
    if refusal:
        response["Retry-After"] = str(refusal.retry_after)
    return response
