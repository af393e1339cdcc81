"""Serializers and parser for files that arrive in parts."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.parsers import BaseParser

from core.examples import example
from core.serializers import StrictSerializer
from executions.api import examples
from executions.models import ExecutionFile
from executions.paths import MAX_PATH_LENGTH, validate_path


class RawParser(BaseParser):
    """Pass the request body through as bytes, whatever its content type."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return stream.read()


@example(sent=examples.NEW_UPLOAD)
class NewUploadSerializer(StrictSerializer):
    area = serializers.ChoiceField(
        choices=ExecutionFile.Area.choices,
        help_text="`in` for input files, `out` for output files.",
    )
    path = serializers.CharField(
        max_length=MAX_PATH_LENGTH,
        trim_whitespace=False,
        validators=[validate_path],
        help_text="A relative path with `/` between folders.",
    )
    size = serializers.IntegerField(min_value=0, help_text="Size in bytes.")

    def validate_size(self, size: int) -> int:
        if size > settings.EXECUTION_FILE_MAX_BYTES:
            raise serializers.ValidationError(
                f"A file has at most {settings.EXECUTION_FILE_MAX_BYTES} bytes."
            )
        return size


class RangeSerializer(serializers.Serializer[Any]):
    first = serializers.IntegerField()
    last = serializers.IntegerField()


@example(examples.UPLOAD)
class UploadSerializer(serializers.Serializer[Any]):
    uploadId = serializers.UUIDField(
        source="upload_id", help_text="The id that the file will have."
    )
    area = serializers.ChoiceField(choices=ExecutionFile.Area.choices)
    path = serializers.CharField()
    size = serializers.IntegerField()
    received = serializers.IntegerField(help_text="The number of bytes received.")
    missing = serializers.SerializerMethodField(
        help_text="The ranges of bytes not received yet, both ends included."
    )
    isComplete = serializers.BooleanField(source="is_complete")

    @extend_schema_field(RangeSerializer(many=True))
    def get_missing(self, upload: Any) -> list[dict[str, int]]:
        return [{"first": first, "last": last} for first, last in upload.missing]
