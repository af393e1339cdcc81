"""The events of executions as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any
from zlib import crc32

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.examples import example
from core.fast_path.responses import LiveResponse
from core.parameters import flag, parse_whole_number
from executions.models import MAX_SEQUENCE, Execution, sees_all
from live import sse
from live.hub import Closed, Hub, hub
from live.payloads import WITHOUT_TRACES, plain, raw, rendered
from live.reading import Batch, Head, Watched, read_events
from organizations.stream_access import Viewer
from panel import examples
from panel.base import PanelViewSet, extended_parameter

PIECE = 16 * 1024
"""Bytes handed to the server at a time."""
PIECES_HELD = 8
"""The number of pieces held for each client, beside what the server and the system buffer."""
CHEAP_BYTES = 256 * 1024
"""Of a batch that is written on the event loop, where everybody waits for it."""
REREAD_AFTER_SECONDS = 0.25
READ_AGAIN = "This server has no room for more waiting requests. Connect again."
HEADERS = {"Cache-Control": "no-cache, no-store", "X-Accel-Buffering": "no"}


class RenderedDifferently(Exception):
    """What a client has already got of a batch differs from the batch as it is rendered now."""


class Stream:
    """One viewer's stream of the same events, whether live or up to now."""

    def __init__(
        self,
        watched: Watched,
        head: Head,
        *,
        after: int,
        viewer: Viewer,
        kinds: frozenset[str] | None,
        payload: sse.Payload,
    ) -> None:
        self.watched, self.head, self.viewer = watched, head, viewer
        self.kinds, self.payload = kinds, payload
        self.position = after

    async def live(self, hub: Hub, over: asyncio.Event) -> AsyncGenerator[bytes, None]:
        """Yield everything from the current position until the execution ends or the stream is
        `over`.
        """
        yield sse.opening()
        batches = hub.subscribe(
            self.watched, self.head, after=self.position, viewer=self.viewer, over=over
        )
        try:
            async for batch in batches:
                if batch is None:
                    yield sse.alive(self.position)
                    continue
                after, self.position = self.position, batch.last_sequence
                text = await self.written_by(hub, batch)
                del batch
                async with aclosing(self.pieces(hub, after, text, over)) as pieces:
                    del text
                    async for piece in pieces:
                        yield piece
            yield sse.end(self.position)
        except RenderedDifferently:
            pass  # in the middle of an event: the client reconnects and gets it from its beginning
        except Closed as closed:
            yield sse.closing(self.position, closed.reason)
        finally:
            await batches.aclose()

    async def pieces(
        self, hub: Hub, after: int, text: bytes | None, over: asyncio.Event
    ) -> AsyncGenerator[bytes, None]:
        """Yield the serialized batch after the sequence number `after` in pieces.

        Only a few pieces are kept here. A batch that left the cache in the meantime is read
        again and serializes to the same bytes, because events never change. Only the limits of
        rendering time may make a difference: RenderedDifferently if it lies in what was sent.
        """
        start, size, sent = 0, len(text or b""), 0
        while start < size:
            while text is None:
                batch = await hub.batch(self.watched, after)
                if batch:
                    text = await self.written_by(hub, batch)
                    del batch
                    if crc32(memoryview(text)[:start]) != sent:
                        raise RenderedDifferently
                    size = len(text)
                elif over.is_set():
                    return
                else:  # just deleted, most likely
                    await asyncio.sleep(REREAD_AFTER_SECONDS)
            held, text = text[start : start + PIECES_HELD * PIECE], None
            for begin in range(0, len(held), PIECE):
                yield held[begin : begin + PIECE]
            start += len(held)
            sent = crc32(held, sent)

    async def written_by(self, hub: Hub, batch: Batch) -> bytes:
        # Short texts as they are cost little; what everyone may read of an error is worked out.
        is_cheap = batch.size <= CHEAP_BYTES and (
            self.payload is raw or (self.payload is WITHOUT_TRACES[raw] and not batch.has_errors)
        )
        if is_cheap or self.form in batch.written:
            return self.written(batch)
        return await hub.render(self.viewer, partial(self.written, batch))

    def replay(self) -> Iterator[bytes]:
        """Yield what exists now, for servers that cannot wait: the client reconnects for more."""
        yield sse.opening()
        while self.position < self.head.last_sequence:
            batch = read_events(self.watched, self.position)
            if batch is None:
                break
            self.position = batch.last_sequence
            yield self.written(batch)
        if self.head.has_ended:
            yield sse.end(self.position)
        else:
            yield sse.closing(self.position, READ_AGAIN)

    @property
    def form(self) -> object:
        """Equal for all streams that show the same events in the same way."""
        return self.kinds, self.payload

    def written(self, batch: Batch, seconds: float | None = None) -> bytes:
        """The batch's events of this stream's kinds, serialized once for all streams of its
        form, within so many seconds of processor time.
        """
        found = batch.written.get(self.form)
        if found is None:
            kinds = self.kinds
            wanted = [each for each in batch.events if kinds is None or each.kind in kinds]
            found = batch.written[self.form] = sse.frames(wanted, self.payload, seconds)
        return found


@example(examples.STREAM_EVENT, media_type="text/event-stream")
class StreamEventSerializer(serializers.Serializer[None]):
    """One server-sent event."""

    id = serializers.CharField(
        help_text="The number of the event. Continue after it with `Last-Event-ID`."
    )
    event = serializers.CharField(help_text="The kind of the event, or `alive`, `close` or `eof`.")
    data = serializers.CharField(  # type: ignore[assignment]
        help_text="`<Unix seconds>:<payload>`; for `eof` the payload alone."
    )


def stream_schema(*, is_rendered: bool, waits: bool = False) -> Any:
    parameters = [
        extended_parameter(default=waits),
        OpenApiParameter("fid", OpenApiTypes.STR, OpenApiParameter.PATH),
        OpenApiParameter(
            "since",
            {"type": "integer", "minimum": 0, "maximum": MAX_SEQUENCE},
            description=(
                "Continue after this event. The header `Last-Event-ID`, which browsers send "
                "when they reconnect, takes precedence."
            ),
        ),
    ]
    if is_rendered:
        parameters.append(
            OpenApiParameter(
                "raw",
                OpenApiTypes.STR,
                description="With any value, send payloads as they were emitted.",
            )
        )
    return extend_schema(
        parameters=parameters,
        responses={(200, "text/event-stream"): StreamEventSerializer},
    )


@extend_schema(tags=["Outputs"])
class StreamViewSet(PanelViewSet):
    """The events of an execution as server-sent events."""

    may_queue = True

    queryset = Execution.objects.without_content()
    required_scopes = {
        "stream": ("executions:read",),
        "main": ("executions:read",),
        "stdio": ("executions:read",),
    }
    query_parameters = {
        "stream": ("extended", "since"),
        "main": ("extended", "since", "raw"),
        "stdio": ("extended", "since", "raw", "plain"),
    }

    @stream_schema(is_rendered=False)
    def stream(self, request: Request, fid: str) -> HttpResponseBase:
        """Stream every event as it was emitted.

        `eof` follows the last event of an ended execution; `alive` is sent when nothing has arrived
        for 15 seconds; `close` gives the reason why a stream ends early: reconnect with the last
        id.
        """
        return self.open(request, None, raw)

    @stream_schema(is_rendered=True, waits=True)
    def main(self, request: Request, fid: str) -> HttpResponseBase:
        """Stream what an execution does and produces: inputs as YAML; actions, results and the
        final result as sanitized HTML.
        """
        payload = raw if "raw" in request.query_params else rendered
        return self.open(request, sse.MAIN, payload, waits=True)

    @stream_schema(is_rendered=True)
    @extend_schema(
        parameters=[
            OpenApiParameter(
                "plain",
                OpenApiTypes.STR,
                description=(
                    "With any value, send each payload as plain text without terminal escape "
                    "sequences, cut to its first 4,000 characters."
                ),
            )
        ]
    )
    def stdio(self, request: Request, fid: str) -> HttpResponseBase:
        """Stream an execution's printed output, with terminal colours as HTML."""
        payload = raw if "raw" in request.query_params else rendered
        return self.open(request, sse.STDIO, plain if "plain" in request.query_params else payload)

    def open(
        self,
        request: Request,
        kinds: frozenset[str] | None,
        payload: sse.Payload,
        *,
        waits: bool = False,
    ) -> HttpResponseBase:
        after = last_event_id(request)
        self.is_extended = flag(request.query_params, "extended", default=waits)
        execution = self.get_object()
        if request.method == "HEAD":
            return HttpResponse(content_type=sse.CONTENT_TYPE, headers=HEADERS)
        viewer = Viewer.of_request(self.actor, request.auth)
        hub.slots.acquire(viewer)
        stream = Stream(
            Watched(execution.organization_id, execution.pk),
            Head(execution.last_sequence, execution.status),
            # The id is of another execution, so all of this one's events are new to the client.
            after=after if after <= execution.last_sequence else 0,
            viewer=viewer,
            kinds=kinds,
            payload=payload if sees_all(self.actor) else WITHOUT_TRACES[payload],
        )
        return LiveResponse(
            stream.replay(),
            partial(stream.live, hub),
            partial(hub.slots.release, viewer),
            content_type=sse.CONTENT_TYPE,
            headers=HEADERS,
        )


def last_event_id(request: Request) -> int:
    """The sequence number after which the client wants to continue; 0 for the beginning."""
    name, text = "Last-Event-ID", request.headers.get("Last-Event-ID", "").strip()
    if not text:
        name, text = "since", request.query_params.get("since", "0")
    return parse_whole_number(text, name, maximum=MAX_SEQUENCE)
