"""JSON responses."""

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework import renderers


class JSONRenderer(renderers.JSONRenderer):
    """REST framework's JSON renderer with orjson, which saves a quarter of a long list's time."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:
        if data is None:
            return b""
        try:
            text = orjson.dumps(
                data,
                default=self.encoder_class().default,
                option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS,
            )
        except orjson.JSONEncodeError:
            # Agents report integers beyond 64 bits, which orjson cannot encode.
            return super().render(data, accepted_media_type, renderer_context)
        # Both characters end a line in JavaScript, even inside a string.
        return text.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
