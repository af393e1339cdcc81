"""Strict serializers for request bodies: nothing is ignored, coerced or read without a limit."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from core.errors import name_some
from core.fields import ContentField
from core.text import is_far_too_long, normalized


class BoundedListField(serializers.ListField):
    """Counts the items before validating any: each invalid one would be an error of its own."""

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **kwargs)
        self._most = max_length

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > self._most:
            raise serializers.ValidationError(f"Send at most {self._most} items.")
        return super().to_internal_value(data)


class StrictSerializer(serializers.Serializer[Any]):
    # No docstring: it would become the description of every body in the OpenAPI document.
    # Unknown names are refused, as are numbers in place of text, text in place of numbers, and
    # non-booleans in place of booleans: nothing is ignored or coerced silently.
    default_error_messages = {"invalid": "Expected a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            if unknown := data.keys() - writable:
                problem = "This field is unknown or cannot be set."
                raise serializers.ValidationError(name_some(unknown, problem))
            far_too_long = {
                name: problem
                for name, value in data.items()
                if (problem := self._far_too_long(name, value))
            }
            if far_too_long:
                raise self._with_the_others(far_too_long, data)
            # A CharField accepts 7 as "7" and a BooleanField 0 as false, but all fields refuse a
            # list.
            data = {
                name: [] if self._is_of_another_type(name, value) else self._normalized(name, value)
                for name, value in data.items()
            }
        return super().to_internal_value(data)

    def _far_too_long(self, name: str, value: Any) -> Any:
        """What is wrong with a text that is too long in whatever way it is normalized. Asked before
        it is normalized and validated: that looks at each of what may be a million characters."""
        field = self.fields[name]
        if isinstance(value, str) and isinstance(field, serializers.CharField):
            return _problem(field, value)
        if isinstance(value, list) and isinstance(field, serializers.ListField):
            each, most = field.child, field.max_length
            if isinstance(each, serializers.CharField) and (most is None or len(value) <= most):
                items = enumerate(value)
                found = {n: _problem(each, item) for n, item in items if isinstance(item, str)}
                return {n: problem for n, problem in found.items() if problem}
        return None

    def _with_the_others(
        self, far_too_long: dict[str, Any], data: dict[str, Any]
    ) -> serializers.ValidationError:
        """The error that names these fields and whatever is wrong with the others."""
        problems: dict[str, Any] = {}
        try:
            self.to_internal_value({n: data[n] for n in data if n not in far_too_long})
        except serializers.ValidationError as error:
            problems |= error.detail  # type: ignore[arg-type]
        return serializers.ValidationError(problems | far_too_long)

    def _normalized(self, name: str, value: Any) -> Any:
        """The value with texts in NFC, in which they are compared, before their length is checked.
        Passwords have a normalization of their own, and values of other fields are content."""
        field = self.fields[name]
        if field.style.get("input_type") == "password" or isinstance(field, ContentField):
            return value
        if isinstance(value, str) and isinstance(field, serializers.CharField):
            return normalized(value)
        if isinstance(value, list) and isinstance(field, serializers.ListField):
            if field.max_length is not None and len(value) > field.max_length:
                return value  # refused for its length
            return [normalized(each) if isinstance(each, str) else each for each in value]
        return value

    def _is_of_another_type(self, name: str, value: Any) -> bool:
        field = self.fields[name]
        if isinstance(field, serializers.BooleanField):
            return value is not None and not isinstance(value, bool)
        if isinstance(field, serializers.IntegerField):
            return isinstance(value, (str, bool))
        return isinstance(field, serializers.CharField) and isinstance(value, (int, float))


def _problem(field: serializers.CharField, text: str) -> list[Any]:
    """The error of a text that is far too long for the field, as for one that is just too long."""
    if not is_far_too_long(text, field.max_length):
        return []
    message = field.error_messages["max_length"].format(max_length=field.max_length)
    return [ErrorDetail(message, code="max_length")]
