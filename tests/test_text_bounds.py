"""Every text that a caller sends has a bound, which is asked before the text is looked at."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError as FormError
from django.test import Client
from django.urls import get_resolver
from rest_framework import serializers

from core.fields import ContentField
from core.serializers import StrictSerializer
from core.tests.profiling import calls
from core.text import LONGEST_SPELLING, normalized
from tests.endpoint import PUBLIC
from tests.endpoints import ENDPOINTS

MARKS = "\u0301" * 31 + "a"
"""A run of marks that is sorted before normalization."""
MOST = 10_000
"""The longest text of a field that is not content: a description."""


class Text(NamedTuple):
    serializer: type[StrictSerializer]
    name: str
    is_list: bool

    @property
    def field(self) -> serializers.CharField:
        field = self.serializer().fields[self.name]
        return getattr(field, "child", field) if self.is_list else field

    def __str__(self) -> str:
        return f"{self.serializer.__name__}.{self.name}"


def every(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from every(each)


def texts() -> list[Text]:
    """Every text that a body may contain."""
    get_resolver().url_patterns  # noqa: B018 - imports every view
    found = []
    for serializer in every(StrictSerializer):
        if ".tests." in serializer.__module__ or serializer.__module__.startswith("tests."):
            continue
        for name, field in serializer().fields.items():
            is_list = isinstance(field, serializers.ListField)
            inner = field.child if is_list else field
            if not field.read_only and isinstance(inner, serializers.CharField):
                found.append(Text(serializer, name, is_list))
    return found


TEXTS = texts()
CONTENT = {"FinishSerializer.error": "a traceback, kept as it was sent"}
each_text = pytest.mark.parametrize("text", TEXTS, ids=str)


def test_the_table_is_not_empty() -> None:
    assert {"AgentSerializer.owner", "LogInSerializer.password"} <= set(map(str, TEXTS))


@each_text
def test_every_text_has_a_bound(text: Text) -> None:
    if str(text) in CONTENT:
        assert isinstance(text.field, ContentField)
    else:
        assert text.field.max_length is not None
        assert text.field.max_length <= MOST


@each_text
def test_a_text_that_is_far_too_long_is_refused_before_it_is_looked_at(text: Text) -> None:
    if str(text) in CONTENT:
        return

    def errors_of(sent: str) -> Any:
        serializer = text.serializer(data={text.name: [sent] if text.is_list else sent})
        assert not serializer.is_valid()
        return serializer.errors[text.name]

    most = text.field.max_length or 0
    length = LONGEST_SPELLING * most // len(MARKS) + 1
    shorter, longer = MARKS * length, MARKS * length * 8
    errors_of(shorter)

    work = calls(lambda: errors_of(longer))

    assert work < 1.2 * calls(lambda: errors_of(shorter)) + 50
    assert str(most) in str(errors_of(longer))
    assert "characters" in str(errors_of(longer))


def test_the_error_is_that_of_a_text_that_is_just_too_long_beside_those_of_others() -> None:
    class Body(StrictSerializer):
        name = serializers.CharField(max_length=3)
        needed = serializers.IntegerField()
        tags = serializers.ListField(child=serializers.CharField(max_length=3), max_length=2)

    def errors_of(text: str) -> Any:
        body = Body(data={"name": text, "tags": ["one", text]})
        assert not body.is_valid()
        return body.errors

    assert errors_of("x" * 1000) == errors_of("xxxx")
    assert set(errors_of("x" * 1000)) == {"name", "needed", "tags"}


def test_a_text_in_its_longest_spelling_is_not_too_long() -> None:
    class Body(StrictSerializer):
        name = serializers.CharField(max_length=2)

    longest = "\u03b1\u0313\u0300\u0345" * 2

    assert len(normalized(longest)) == 2
    assert Body(data={"name": longest}).is_valid()


# Forms


def form_fields() -> list[tuple[type[forms.BaseForm], str, forms.CharField]]:
    get_resolver().url_patterns  # noqa: B018 - imports every view
    kinds = [each for each in every(forms.BaseForm) if each.__module__.startswith("pages.")]
    return [
        (kind, name, field)
        for kind in kinds
        for name, field in kind.base_fields.items()  # type: ignore[attr-defined]
        if isinstance(field, forms.CharField)
    ]


FORM_FIELDS = form_fields()
each_form_field = pytest.mark.parametrize(
    ("kind", "name", "field"), FORM_FIELDS, ids=[f"{k.__name__}.{n}" for k, n, _ in FORM_FIELDS]
)


@each_form_field
def test_every_text_of_a_form_has_a_bound(kind: Any, name: str, field: forms.CharField) -> None:
    assert field.max_length is not None


@each_form_field
def test_a_form_normalizes_no_text_that_is_far_too_long(
    kind: Any, name: str, field: forms.CharField
) -> None:
    def refuse(text: str) -> Callable[[], None]:
        def do() -> None:
            with pytest.raises(FormError):
                field.clean(text)

        return do

    length = LONGEST_SPELLING * (field.max_length or 0) // len(MARKS) + 1
    refuse(MARKS * length)()

    assert calls(refuse(MARKS * length * 4)) < 1.2 * calls(refuse(MARKS * length)) + 50


# Bodies


PUBLIC_BODIES = sorted(
    {
        each.path
        for each in ENDPOINTS
        if each.access == PUBLIC and each.method == "POST" and each.path.startswith("/api/")
    }
)


def test_the_public_endpoints_are_known() -> None:
    assert "/api/v1/auth/login" in PUBLIC_BODIES


@pytest.mark.django_db
@pytest.mark.parametrize("path", PUBLIC_BODIES)
def test_a_body_that_nobody_answers_for_is_small(path: str) -> None:
    body = json.dumps({"x": "a" * settings.MAX_FORM_BYTES})

    answer = Client().post(path, body, content_type="application/json")

    # The OAuth endpoints accept forms only, which have the same limit.
    is_json = "/token" not in path
    assert answer.status_code == (413 if is_json else 400)
    if answer.status_code == 413:
        assert str(settings.MAX_FORM_BYTES) in answer.json()["message"]


def test_content_is_kept_as_it_was_sent() -> None:
    assert ContentField().run_validation(" u\u0308 ") == " u\u0308 "


# Names


FREE = {
    "FinishSerializer.error": "content",
    "NewExecutionSerializer.summary": "free text of an engine",
    "NewExecutionSerializer.description": "free text of an engine, with lines",
    "NewExecutionSerializer.tags": "have a rule of their own (executions/known_tags.py)",
    "ChangeSerializer.summary": "free text of an engine",
    "KeyLogInSerializer.name": "looked up",
    "KeyLogInSerializer.password": "a secret",
    "LogInSerializer.email": "looked up",
    "LogInSerializer.password": "a secret",
    "AcceptanceSerializer.password": "a secret; a new one has a rule of its own",
    "AcceptanceSerializer.token": "a secret, looked up",
    "RefreshSerializer.refreshToken": "a secret, verified",
    "DeletedOutputsSerializer.fid": "ids, looked up",
    "GrantedScopesSerializer.scopes": "looked up",
    "NewMemberSerializer.role": "chosen from a list",
    "RoleSerializer.role": "chosen from a list",
}
UNPRINTABLE = ["a\x1b[2Jb", "a\nb", "a\u202eb", "a\u2066b", "a\x85b"]


@each_text
@pytest.mark.parametrize("sent", UNPRINTABLE, ids=ascii)
def test_names_and_labels_are_printable(text: Text, sent: str) -> None:
    if str(text) in FREE:
        return
    serializer = text.serializer(data={text.name: [sent] if text.is_list else sent})

    assert not serializer.is_valid()
    assert text.name in serializer.errors


def test_nothing_is_free_that_does_not_exist() -> None:
    assert set(FREE) | set(CONTENT) <= set(map(str, TEXTS))


@pytest.mark.parametrize("sent", UNPRINTABLE, ids=ascii)
@each_form_field
def test_names_in_forms_are_printable(
    kind: Any, name: str, field: forms.CharField, sent: str
) -> None:
    if name not in {"name", "owner"}:
        return
    with pytest.raises(FormError):
        field.clean(sent)
