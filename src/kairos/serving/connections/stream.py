"""One request of HTTP/2 with its answer, as ASGI has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

__all__ = ["Line", "Stream", "scope_of"]

_log = logging.getLogger("kairos.serving")

_OF_HTTP1 = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""Fields about the connection, which HTTP/2 has no place for (RFC 9113, section 8.2.2)."""

Fields = Sequence[tuple[bytes, bytes]]


class Line(Protocol):
    """The connection that a stream belongs to."""

    async def write(self, stream: Stream, head: Fields | None, body: bytes, *, is_last: bool) -> None:
        """Sends a part of an answer once there is room for it; nothing if the stream has gone."""
        ...

    def has_read(self, stream: Stream, size: int) -> None:
        """So many bytes of the stream's request have been read, and as many more may come."""
        ...

    def over(self, stream: Stream) -> None:
        """The application is done with the stream."""
        ...


class Stream:
    """What came of a request, and how far its answer is."""

    def __init__(self, number: int, scope: Scope, line: Line, *, is_whole: bool, now_s: float) -> None:
        self.number = number
        self.is_whole = is_whole
        """Whether all of the request has come."""
        self.is_answered = False
        """Whether all of the answer was handed on."""
        self.is_gone = False
        """Whether nothing can be sent any more."""
        self.began_s = now_s
        self.waits_since_s: float | None = None
        """Since when the client has not taken the present part of the answer."""
        self.room = asyncio.Event()
        """Set when there may be room for more of the answer."""
        self.unread_bytes = 0
        """Of the client's window, taken by what came and was not read."""
        self._scope = scope
        self._line = line
        self._body = bytearray()
        self._came = asyncio.Event()
        self._head: Fields | None = None
        if is_whole:
            self._came.set()

    def take(self, data: bytes, size: int) -> None:
        """Adds to the request; ``size`` is what its frame takes of the window."""
        self._body += data
        self.unread_bytes += size
        self._came.set()

    def end(self) -> None:
        """The request is whole."""
        self.is_whole = True
        self._came.set()

    def lose(self) -> None:
        """The client does not want an answer, or cannot get one."""
        self.is_gone = True
        self._came.set()
        self.room.set()

    async def run(self, app: ASGIApp) -> None:
        """Has the request answered."""
        try:
            await app(self._scope, self._receive, self._send)
        except Exception as error:  # the application answers faults by itself; this one came after that
            _log.error("An answer over HTTP/2 ended in the middle: %s", type(error).__name__)
        finally:
            self._line.over(self)

    async def _receive(self) -> Message:
        if not (self.is_gone or self.is_answered):
            await self._came.wait()
        if self.is_gone or self.is_answered:
            return {"type": "http.disconnect"}
        body, size = bytes(self._body), self.unread_bytes
        self._body, self.unread_bytes = bytearray(), 0
        self._came.clear()
        if size:
            self._line.has_read(self, size)
        return {"type": "http.request", "body": body, "more_body": not self.is_whole}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            told = [(name.lower(), value) for name, value in message.get("headers", ())]
            status = (b":status", str(message["status"]).encode())
            self._head = [status, *(field for field in told if field[0] not in _OF_HTTP1)]
            return
        head, self._head = self._head, None  # with the first part of the body, as one packet
        body = b"" if self._scope["method"] == "HEAD" else message.get("body", b"")
        is_last = not message.get("more_body", False)
        await self._line.write(self, head, body, is_last=is_last)
        if is_last:
            self.is_answered = True
            self._came.set()


def scope_of(headers: Fields, **others: object) -> Scope:
    """A request's head as ASGI has it.

    Raises:
        UnicodeDecodeError: its path or method is not ASCII.
    """
    told = {name: value for name, value in headers if name.startswith(b":")}
    fields = [(name, value) for name, value in headers if not name.startswith(b":")]
    if b":authority" in told and not any(name == b"host" for name, _ in fields):
        fields.insert(0, (b"host", told[b":authority"]))
    path, _, query = told.get(b":path", b"").partition(b"?")
    return {
        "type": "http",
        "http_version": "2",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": told[b":method"].decode("ascii"),
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": fields,
        **others,
    }
