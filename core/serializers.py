"""Bodies of requests, read strictly: nothing is ignored, turned into something else, or read at any
length.
"""

from typing import Any

from rest_framework import serializers

from core.errors import name_some
from core.text import normalized


class BoundedListField(serializers.ListField):
    """Counts the items before it looks at any: each wrong one would be an error of its own."""

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **kwargs)
        self._most = max_length

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > self._most:
            raise serializers.ValidationError(f"Send at most {self._most} items.")
        return super().to_internal_value(data)


class StrictSerializer(serializers.Serializer[Any]):
    # No docstring: it would describe every body in the API's description.
    # Names that it does not know are refused, as are numbers where a text belongs, texts where a
    # number does, and anything but true and false: nothing is silently ignored or turned into
    # something else.
    default_error_messages = {"invalid": "Expected a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            if unknown := data.keys() - writable:
                problem = "This field is unknown or cannot be set."
                raise serializers.ValidationError(name_some(unknown, problem))
            # A CharField takes 7 for "7", a BooleanField 0 for false; all of them refuse a list.
            data = {
                name: [] if self._is_of_another_type(name, value) else self._normalized(name, value)
                for name, value in data.items()
            }
        return super().to_internal_value(data)

    def _normalized(self, name: str, value: Any) -> Any:
        """Texts in the one Unicode form in which they are compared, before their length is looked
        at. A password is hashed in a form of its own, and what is no text field is content."""
        field = self.fields[name]
        if field.style.get("input_type") == "password":
            return value
        if isinstance(value, str) and isinstance(field, serializers.CharField):
            return normalized(value)
        if isinstance(value, list) and isinstance(field, serializers.ListField):
            return [normalized(each) if isinstance(each, str) else each for each in value]
        return value

    def _is_of_another_type(self, name: str, value: Any) -> bool:
        field = self.fields[name]
        if isinstance(field, serializers.BooleanField):
            return value is not None and not isinstance(value, bool)
        if isinstance(field, serializers.IntegerField):
            return isinstance(value, (str, bool))
        return isinstance(field, serializers.CharField) and isinstance(value, (int, float))
