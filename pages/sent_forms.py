"""Forms are processed once, even after a double click, or Back and another submission.

Every rendered page masks the CSRF token anew, so the same masked token with the same content comes
from the same page. It is stored like an Idempotency-Key in the transaction of the change, so that a
concurrent repetition waits for the first. This needs neither JavaScript nor an extra field.
"""

import json
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import connection
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import salted_hmac

from organizations.api.idempotency import store
from organizations.models import AnsweredRequest

TOKEN = "csrfmiddlewaretoken"  # noqa: S105 - the name of the field
SESSION_KEY = "sent_form"
SENT_TWICE = "You submitted this form twice. It was carried out once."


def shown_once(response: HttpResponse, advice: str, next_page: str, *args: object) -> HttpResponse:
    """Mark a page that shows a secret, which is not stored.

    A repetition of the form is redirected to the URL named `next_page` with the `advice`, for a
    person who has not seen the secret.
    """
    response.next_page = reverse(next_page, args=args)  # type: ignore[attr-defined]
    response.advice = advice  # type: ignore[attr-defined]
    return response


def carry_out_once(request: Any, view: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """The view's response, or that to the first submission. Runs inside the organization's scope.

    A refused form is not stored: it may be sent again and accepted then.
    """
    key = key_of(request) if request.method == "POST" else None
    if key is None:
        return view()
    sent, is_new = store(request.organization, request.actor.id, key, b"")
    if not is_new:
        return redirect_again(request, sent)
    response = view()
    remember(request, sent, response)
    return response


def key_of(request: Any) -> str | None:
    """The key of this submission of this page; None for a client that has loaded no page."""
    token = request.POST.get(TOKEN)
    if not token:
        return None
    content = sorted((name, values) for name, values in request.POST.lists())
    text = json.dumps([request.path, token, content])
    # No Idempotency-Key can contain a tab, so none can be mistaken for a form.
    return "form\t" + salted_hmac(__name__, text, algorithm="sha256").hexdigest()


def was_carried_out(request: Any) -> bool:
    """Whether this session's last account form was the same; see note_sent."""
    key = key_of(request) if request.method == "POST" else None
    return key is not None and request.session.get(SESSION_KEY) == key


def note_sent(request: Any) -> None:
    """Store the key of a form that belongs to no organization in its session.

    A concurrent repetition finds the password changed, as the row is locked when it is checked.
    """
    if key := key_of(request):
        request.session[SESSION_KEY] = key


def remember(request: Any, sent: AnsweredRequest, response: HttpResponseBase) -> None:
    """Store the response's redirect and messages."""
    if connection.needs_rollback:
        return
    said = [(each.level, str(each.message)) for each in new_messages(request)]
    next_page = response.headers.get("Location") or getattr(response, "next_page", "")
    if not next_page or any(level >= messages.ERROR for level, _ in said):
        sent.delete()
        return
    advice = getattr(response, "advice", "")
    told = " ".join([advice] if advice else [text for _, text in said])
    sent.status, sent.body = response.status_code, json.dumps({"next": next_page, "told": told})
    sent.save(update_fields=["status", "body"])


def redirect_again(request: Any, sent: AnsweredRequest) -> HttpResponse:
    """Redirect as the first response did, with a message that the change was made only once."""
    kept = json.loads(sent.body)
    messages.info(request, f"{SENT_TWICE} {kept['told']}".strip())
    return redirect(kept["next"])


def new_messages(request: Any) -> list[Any]:
    """The messages of this request. Iterating the storage would remove them from the next page."""
    storage: Any = messages.get_messages(request)
    return list(storage._queued_messages)
