"""HTTP/2: ``h2`` does the protocol, uvicorn keeps the connections; this joins the two and sets limits.

To be loaded by the first connection that speaks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from kairos.serving.connections.crowd import crowded, refusing
from kairos.serving.connections.frames import FrameScale
from kairos.serving.connections.greeting import server_side
from kairos.serving.connections.http1 import PREFACE
from kairos.serving.connections.keeper import Stall
from kairos.serving.connections.limits import MOST_FIELDS, MOST_STREAMS, Limits
from kairos.serving.connections.stream import Fields, Stream, scope_of

__all__ = ["Http2"]

_TABLE_BYTES = 4 << 10
"""Of the table that answers' heads are compressed with, whatever a client offers: it is searched for each field."""

_SLACK_S = 2.0
"""A body is answered with 408 by who reads it; the stream ends so much later if nobody did."""

_LEAVING_S = 1.0
"""How long a connection that is never idle goes on when the server is told to stop."""


class Http2(asyncio.Protocol):
    """One connection, which carries several requests at once.

    Args:
        config: uvicorn's.
        state: All connections and tasks of the server.
        app_state: What the application has kept at its start.
        loop: Runs everything.
        app: Answers.
        limits: For the client.
        tell: Told why the client is not served to the end.
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        *,
        app: ASGIApp,
        limits: Limits,
        tell: Callable[[str], object],
    ) -> None:
        self._config, self._state, self._app_state, self._loop = config, state, app_state, loop
        self._app = app
        self._limits, self._tell = limits, tell
        self._h2 = server_side()
        self._scale = FrameScale(skip=len(PREFACE), now_s=loop.time())
        self._streams: dict[int, Stream] = {}
        """Those whose application still runs."""
        self._transport: asyncio.Transport
        self._is_paused = False
        """Whether the client does not take what was sent."""
        self._is_leaving = False
        """Whether it closes as soon as nothing is asked."""
        self._is_full = False
        """Whether no more requests are taken."""
        self._is_new = True
        """Whether there was no request yet."""
        self._idle_since_s = loop.time()
        self._stall = Stall()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Greets the client."""
        self._state.connections.add(self)  # type: ignore[arg-type]  # it has what uvicorn asks of one
        self._transport = transport
        self._shared = {
            "scheme": "https" if is_ssl(transport) else "http",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
        }
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Lets those who still answer know."""
        self._state.connections.discard(self)
        for stream in self._streams.values():
            stream.lose()

    def data_received(self, data: bytes) -> None:
        """Reads frames; what breaks the protocol, or is too much, ends the connection."""
        if self._transport.is_closing():
            return
        if self._scale.weigh(data, self._loop.time()) is not None:
            self._tell("flood")
            self._end(ErrorCodes.ENHANCE_YOUR_CALM)
            return
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except H2Error:
            self._tell("malformed")
            self._flush()  # h2 has said why
            self._transport.close()
            return
        self._flush()

    def _take(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif isinstance(event, DataReceived):
            stream = self._streams.get(event.stream_id)
            if stream is None or stream.is_gone or stream.is_answered:
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            else:
                stream.take(event.data, event.flow_controlled_length)
        elif isinstance(event, StreamEnded):
            if event.stream_id in self._streams:
                self._streams[event.stream_id].end()
        elif isinstance(event, StreamReset):
            if event.stream_id in self._streams:
                self._streams[event.stream_id].lose()
        elif isinstance(event, WindowUpdated):
            self._wake(event.stream_id)
        elif isinstance(event, RemoteSettingsChanged):
            if self._h2.encoder.header_table_size > _TABLE_BYTES:
                self._h2.encoder.header_table_size = _TABLE_BYTES
            self._wake(0)
        elif isinstance(event, ConnectionTerminated):
            self._transport.close()

    def _begin(self, event: RequestReceived) -> None:
        self._is_new = False
        number, now_s = event.stream_id, self._loop.time()
        if self._is_full or len(self._streams) >= MOST_STREAMS:
            self._h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)  # the client may send it again, elsewhere
            return
        app, headers = self._app, event.headers
        try:
            scope = scope_of(headers, **self._shared, state=self._app_state.copy())
        except UnicodeDecodeError:
            scope, app = (
                scope_of([(b":method", b"GET"), (b":path", b"/")]),
                refusing(400, "bad_request", "The path is not ASCII."),
            )
        if len(headers) > MOST_FIELDS:
            app = refusing(431, "large_head", f"The request has more than {MOST_FIELDS} header fields.")
        elif len(self._state.tasks) >= self._limits.connections:
            self._tell("crowded")
            app = crowded
        stream = Stream(number, scope, self, is_whole=event.stream_ended is not None, now_s=now_s)
        self._streams[number] = stream
        task = self._loop.create_task(stream.run(app))
        task.add_done_callback(self._state.tasks.discard)
        self._state.tasks.add(task)

    async def write(self, stream: Stream, head: Fields | None, body: bytes, *, is_last: bool) -> None:
        """Sends a part of an answer; see ``Line``."""
        number, at = stream.number, 0
        try:
            if head is not None and not stream.is_gone:
                fields = [head[0], *self._state.default_headers, *head[1:]]
                self._h2.send_headers(number, fields, end_stream=is_last and not body)
            while at < len(body) and not stream.is_gone:
                room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
                if room <= 0 or self._is_paused:
                    self._flush()
                    stream.waits_since_s = stream.waits_since_s or self._loop.time()
                    stream.room.clear()
                    await stream.room.wait()
                    continue
                piece = body[at : at + room]
                at += len(piece)
                self._h2.send_data(number, piece, end_stream=is_last and at == len(body))
                if at < len(body):
                    self._flush()
            if not body and is_last and head is None and not stream.is_gone:
                self._h2.end_stream(number)
        except H2Error:  # the stream, or the connection, was closed meanwhile
            stream.lose()
        stream.waits_since_s = None
        self._flush()

    def has_read(self, stream: Stream, size: int) -> None:
        """More of the request may come; see ``Line``."""
        with suppress(H2Error):  # the connection may be closed
            self._h2.acknowledge_received_data(size, stream.number)
        self._flush()

    def over(self, stream: Stream) -> None:
        """Forgets a stream; see ``Line``."""
        del self._streams[stream.number]
        self._idle_since_s = self._loop.time()
        if self._transport.is_closing():
            return
        self._state.total_requests += 1
        if stream.is_answered and not stream.is_gone:
            self._scale.give()
        with suppress(H2Error):  # the client may have closed it
            if stream.unread_bytes:
                self._h2.acknowledge_received_data(stream.unread_bytes, stream.number)
            if not stream.is_gone and not (stream.is_answered and stream.is_whole):
                code = ErrorCodes.NO_ERROR if stream.is_answered else ErrorCodes.INTERNAL_ERROR
                self._h2.reset_stream(stream.number, code)  # the rest of a request that is answered need not come
        self._flush()
        if self._is_leaving and not self._streams:
            self._end(ErrorCodes.NO_ERROR)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _end(self, code: ErrorCodes) -> None:
        """Says why, and closes."""
        if self._transport.is_closing():
            return
        with suppress(H2Error):  # it may be closed as far as h2 knows
            self._h2.close_connection(code)
        self._flush()
        self._transport.close()

    def _wake(self, number: int) -> None:
        """There may be room on a stream; 0: on all of them."""
        if number in self._streams:
            self._streams[number].room.set()
        for stream in self._streams.values() if number == 0 else ():
            stream.room.set()

    def pause_writing(self) -> None:
        """The client does not take what was sent."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """It has taken it."""
        self._is_paused = False
        self._stall.end()
        self._wake(0)

    def shutdown(self) -> None:
        """Closes once nothing is asked any more, or takes no more requests after a moment.

        Clients made with Python's ``h2`` give up what they wait for when they are told that no more is taken.
        """
        self._is_leaving = True
        if self._streams:
            self._loop.call_later(_LEAVING_S, self._take_no_more)
        else:
            self._end(ErrorCodes.NO_ERROR)

    def _take_no_more(self) -> None:
        """Tells the client up to which request it is answered; by hand, as ``h2`` says nothing after this."""
        if not self._transport.is_closing():
            self._is_full = True
            last = self._h2.highest_inbound_stream_id.to_bytes(4, "big")
            self._transport.write(b"\x00\x00\x08\x07\x00" + bytes(4) + last + bytes(4))

    def look(self, now_s: float) -> None:
        """Ends what the client takes too long for; ``now_s`` is the loop's time."""
        limits = self._limits
        if self._stall.lasts_s(self._transport, now_s) > limits.answer_s:
            self._tell("slow")
            self._transport.abort()
            return
        for stream in list(self._streams.values()):
            is_slow = not stream.is_whole and now_s - stream.began_s > limits.body_s + _SLACK_S
            since_s = stream.waits_since_s
            if not stream.is_gone and (is_slow or (since_s is not None and now_s - since_s > limits.answer_s)):
                self._cut(stream)
        patience_s = limits.head_s if self._is_new else limits.idle_s  # pings are no reason to stay
        if not self._streams and now_s - self._idle_since_s > patience_s:
            self._end(ErrorCodes.NO_ERROR)

    def _cut(self, stream: Stream) -> None:
        self._tell("slow")
        stream.lose()
        with suppress(H2Error):
            self._h2.reset_stream(stream.number, ErrorCodes.ENHANCE_YOUR_CALM)
        self._flush()
