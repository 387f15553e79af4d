"""HTTP/1.1 as uvicorn speaks it, with limits; what begins as HTTP/2 does is handed on.

The way of a request that comes in one piece stays uvicorn's. What is still to come is looked at by the keeper.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import is_ssl
from uvicorn.server import ServerState

from kairos.serving.connections.crowd import crowded, is_inside
from kairos.serving.connections.keeper import Stall
from kairos.serving.connections.limits import (
    LARGEST_HEAD_BYTES,
    MOST_FIELDS,
    MOST_FRAMING_BYTES,
    MOST_PIPELINED,
    Limits,
)
from kairos.serving.wire_errors import error_body

__all__ = ["PREFACE", "Http1"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a connection of HTTP/2 begins with; no request of HTTP/1.1 does."""

_PIECE_BYTES = 16 << 10
"""More than this at a time is read in such pieces, and weighed after each."""

_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)

_SLACK_S = 2.0
"""A body is answered with 408 by who reads it; the connection ends so much later if nobody did."""


class Http1(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
        tell: Callable[[str], object] = lambda reason: None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._tell = tell
        self._limits = limits
        self._is_usual = False
        """Whether a small piece goes straight to the parser."""
        self._first: bytes | None = b""
        """What came, as long as it may be HTTP/2; ``None`` from then on."""
        self._answered: RequestResponseCycle | None = None
        """The request whose turn it is, or was."""
        self._is_broken = False
        """Whether nothing of what comes is read any more."""
        self._loose_bytes = 0
        """Of the request that is under way, all but its body."""
        self._made_s = self._since_s = self.loop.time()
        self._awaited: tuple[object, object] = (None, None)
        """What the client owes, and after which request; since when."""
        self._stall = Stall()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes its place among all connections, or speaks HTTP/2 if TLS has found that both do."""
        super().connection_made(transport)
        if not is_inside(transport):
            if len(self.connections) > self._limits.connections:
                self._tell("crowded")
                self.app = crowded
            if len(self.connections) > self._limits.most_open:
                transport.abort()
                return
        if is_ssl(transport):
            self._first = None
            if transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
                self._speak_http2(b"")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Lets whoever answers know; uvicorn tells it to the last request only, which may wait for its turn."""
        if self._answered is not None:
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads on."""
        if not self._is_usual or len(data) > _PIECE_BYTES:
            self._read_carefully(data)
            return
        super().data_received(data)
        self._is_usual = self._is_between()

    def _is_between(self) -> bool:
        """Whether nothing is under way that has to be weighed, and nobody waits for a turn."""
        cycle = self.cycle
        return (
            cycle is not None
            and cycle.scope is self.scope
            and not self.pipeline
            and not self._is_broken
            and not (cycle.more_body and self._is_in_pieces())
        )

    def _is_in_pieces(self) -> bool:
        """Whether the body may come with more than its length said; any other can only be slow."""
        return any(name == b"transfer-encoding" for name, _ in self.headers)

    def _read_carefully(self, data: bytes) -> None:
        if self._first is not None:
            data = self._first + data
            if len(data) < len(PREFACE) and PREFACE.startswith(data):
                self._first = data
                return
            self._first = None
            if data.startswith(PREFACE):
                self._speak_http2(data)
                return
            data = _without_upgrade(data)
        for at in range(0, len(data), _PIECE_BYTES):
            if self._is_broken or self.transport.is_closing():
                return
            self._weigh(data[at : at + _PIECE_BYTES])
        self._is_usual = self._is_between()

    def _weigh(self, piece: bytes) -> None:
        """Reads a piece, and ends the connection if what is under way has become too much."""
        before = self.cycle
        held = len(before.body) if before is not None else 0
        super().data_received(piece)
        if self._is_broken or self.transport.is_closing():
            return
        cycle = self.cycle
        is_head = cycle is None or cycle.scope is not self.scope
        if cycle is not before or self._is_between():
            self._loose_bytes = 0
        else:
            self._loose_bytes += len(piece) - (0 if is_head else max(len(cycle.body) - held, 0))
        if len(self.pipeline) > MOST_PIPELINED:
            self._tell("flood")
            self.transport.abort()
        elif self.scope is not None and len(self.headers) > MOST_FIELDS:
            self._refuse(431, "large_head", f"The request has more than {MOST_FIELDS} header fields.")
        elif is_head and self._loose_bytes > LARGEST_HEAD_BYTES:
            self._refuse(431, "large_head", f"The head of the request has more than {LARGEST_HEAD_BYTES} bytes.")
        elif not is_head and self._loose_bytes > MOST_FRAMING_BYTES:
            self._refuse(400, "large_framing", f"More than {MOST_FRAMING_BYTES} bytes came beside the body.")

    def _speak_http2(self, data: bytes) -> None:
        from kairos.serving.connections.http2 import Http2  # few connections need it, and it loads what they speak

        self.connections.discard(self)
        config, state, limits = self.config, self.server_state, self._limits
        other = Http2(config, state, self.app_state, self.loop, app=self.app, limits=limits, tell=self._tell)
        self.transport.set_protocol(other)
        other.connection_made(self.transport)
        if data:
            other.data_received(data)

    def send_400_response(self, msg: str) -> None:
        """What cannot be read is refused in the shape of all errors."""
        self._refuse(400, "bad_request", "The request is not HTTP.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Ends the connection: at once and with an answer, or after those that it still waits for."""
        cycle = self.cycle
        self._tell("slow" if status == 408 else "malformed")
        self._is_broken, self._is_usual = True, False
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False  # it, and those before it, are answered first
            return
        is_next = cycle is None or not cycle.more_body
        if is_next or not (cycle.response_started or self.pipeline):
            self.transport.write(_answer(status, code, message))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Says nothing, as HTTP/1.1 is an answer; but of a request with a body httptools has left out the body."""
        if any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers):
            self.cycle.disconnected = True  # it answers nobody
            self._is_broken = True
            self.transport.write(_answer(400, "bad_upgrade", "A request with a body cannot ask for another protocol."))
            self.transport.close()

    def resume_writing(self) -> None:
        """The client has taken what waited."""
        self._stall.end()
        super().resume_writing()

    def look(self, now_s: float) -> None:
        """Ends the connection if the client takes too long; ``now_s`` is the loop's time."""
        if self._stall.lasts_s(self.transport, now_s) > self._limits.answer_s:
            self._tell("slow")
            self.transport.abort()
            return
        awaited = self._owed()
        if awaited != self._awaited[1] or self.cycle is not self._awaited[0]:
            self._awaited = (self.cycle, awaited)
            self._since_s = self._made_s if self.cycle is None else now_s
        waited_s = now_s - self._since_s
        if awaited == "head" and waited_s > self._limits.head_s:
            if self._first is not None:
                self._tell("slow")
                self.transport.close()
            else:
                self._refuse(408, "too_slow", f"The head took longer than {self._limits.head_s:g} seconds to arrive.")
        elif awaited == "body" and waited_s > self._limits.body_s + _SLACK_S:
            self._tell("slow")
            self.transport.abort()

    def _owed(self) -> str | None:
        """What the client has to send; ``None``: nothing, or uvicorn's own timer runs."""
        cycle = self.cycle
        if self.transport.is_closing() or self.flow.read_paused or self._is_broken:
            return None
        if cycle is None:
            return "head"
        if cycle.more_body:
            return "body"
        if not cycle.response_complete or self.timeout_keep_alive_task is not None:
            return None
        return "head"


def _without_upgrade(data: bytes) -> bytes:
    """The first head of a connection, if it is whole, without a wish for another protocol.

    ``curl --http2`` begins so, and may be answered in HTTP/1.1; httptools would skip the body.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nignored:", head) + end + rest if end else data


def _answer(status: int, code: str, message: str) -> bytes:
    body = msgspec.json.encode(error_body(code, message))
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body
