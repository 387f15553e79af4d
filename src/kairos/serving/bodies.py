"""Bodies of requests and answers: limits that hold whatever the coding is; gzip and zstd in and out, deflate in."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kairos.serving.body import LARGEST_BODY_BYTES
from kairos.serving.rows import Written

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["CODINGS", "MOST_UNREAD_BYTES", "Patience", "read_body", "respond", "unfold"]

MOST_UNREAD_BYTES = 64 << 20
"""Bytes of a request after which a client that sends too much is cut off."""

_LOOK_S = 0.5
"""How often bodies that take too long are looked for."""

SMALLEST_FOLDED_BYTES = 1_000
"""Answers below this are sent as they are: they fit into one packet."""

PIECE_BYTES = 64 << 10
"""Answers above this leave in pieces, each folded when the one before it has left."""

_WIDEST_WINDOW = 23
"""Binary logarithm of the most bytes that zstd may look back on: 8 MiB, as RFC 9659 has it for HTTP."""


class Unfolder(Protocol):
    """What the readers of all codings have in common."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What came after its end."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Gives at most that many bytes."""
        ...


class Folder(Protocol):
    """What the writers of all codings have in common."""

    def compress(self, data: bytes, /) -> bytes:
        """Takes bytes in, and gives what is ready."""
        ...

    def flush(self) -> bytes:
        """Gives the rest."""
        ...


def _zstd_unfolder() -> Any:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WIDEST_WINDOW})


CODINGS: Mapping[str, Callable[[], Unfolder]] = MappingProxyType(
    {
        "gzip": lambda: zlib.decompressobj(31),
        "x-gzip": lambda: zlib.decompressobj(31),
        "deflate": lambda: zlib.decompressobj(15),  # HTTP's deflate has zlib's own head
        "zstd": _zstd_unfolder,
    }
)
"""The codings of requests that are read."""

_FOLDERS: Mapping[str, Callable[[], Folder]] = {
    "zstd": lambda: zstd.ZstdCompressor(level=1),
    "gzip": lambda: zlib.compressobj(1, wbits=31),
}
"""Those of answers; of two that a client likes as well the first is taken."""


async def read_body(request: Request) -> bytes:
    """The bytes of a request without its coding, unless there are too many.

    What is too large is read on for a while and forgotten: a client that is cut off in the middle of sending never
    reads why.

    Raises:
        HTTPException: 413 what came, or what it would unfold to, is too large; 415 a coding that is not read; 400 it is
            not in the coding that it says; 408 it came too slowly.
    """
    task, patience = asyncio.current_task(), request.app.state.patience
    assert task is not None
    patience.begin(task)
    try:
        body = await _whole(request)
    except asyncio.CancelledError:
        if patience.is_with(task):
            raise  # somebody else ends it
        task.uncancel()
        raise HTTPException(408) from None
    finally:
        patience.end(task)
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding in CODINGS:
        return unfold(body, CODINGS[coding]())
    if coding not in ("", "identity"):
        raise HTTPException(415)
    return body


async def _whole(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MOST_UNREAD_BYTES:
            break
        if size <= LARGEST_BODY_BYTES:
            chunks.append(chunk)
        else:
            chunks.clear()
    if size > LARGEST_BODY_BYTES:
        raise HTTPException(413)
    return b"".join(chunks)


class Patience:
    """Ends the reading of bodies that take too long; one timer for all, as one a request costs 10 microseconds.

    To be used from one event loop.
    """

    def __init__(self, longest_s: float, on_late: Callable[[], object] = lambda: None) -> None:
        self._longest_s = longest_s
        self._on_late = on_late
        self._until_s: dict[asyncio.Task[Any], float] = {}
        self._is_looking = False

    def begin(self, task: asyncio.Task[Any]) -> None:
        """A task reads from now on; it is cancelled once its time is over."""
        loop = task.get_loop()
        self._until_s[task] = loop.time() + self._longest_s
        if not self._is_looking:
            self._is_looking = True
            loop.call_later(_LOOK_S, self._look, loop)

    def is_with(self, task: asyncio.Task[Any]) -> bool:
        """Whether the task's time was not over yet."""
        return task in self._until_s

    def end(self, task: asyncio.Task[Any]) -> None:
        """It reads no longer."""
        self._until_s.pop(task, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        for task in [task for task, until_s in self._until_s.items() if until_s <= now_s]:
            del self._until_s[task]
            task.cancel()
            self._on_late()
        self._is_looking = bool(self._until_s)
        if self._is_looking:
            loop.call_later(_LOOK_S, self._look, loop)


def unfold(body: bytes, reader: Unfolder) -> bytes:
    """Unfolds a body up to the limit, and never further: a bomb takes no more memory than an honest request.

    Raises:
        HTTPException: 413 there is more than the limit; 400 it is not one whole stream.
    """
    try:
        found = reader.decompress(body, LARGEST_BODY_BYTES + 1)
    except (zlib.error, zstd.ZstdError):
        raise HTTPException(400, "The request is not in the coding that its content-encoding says.") from None
    if len(found) > LARGEST_BODY_BYTES:
        raise HTTPException(413)
    if not reader.eof or reader.unused_data:
        raise HTTPException(400, "The request is not one whole compressed stream.")
    return found


def respond(written: Written, request: Request) -> Response:
    """An answer over HTTP; folded if it is long and the client takes that, and in pieces if it is very long."""
    headers, body, folder = dict(written.headers), written.body, None
    if len(body) >= SMALLEST_FOLDED_BYTES:
        headers["vary"] = "accept-encoding"
        coding = _preferred(request.headers.get("accept-encoding", ""))
        if coding is not None:
            headers["content-encoding"] = coding
            folder = _FOLDERS[coding]()
    if len(body) > PIECE_BYTES:
        return _InPieces(body, folder, status=written.status, headers=headers)
    if folder is not None:
        body = folder.compress(body) + folder.flush()
    return Response(body, status_code=written.status, headers=headers)


class _InPieces(Response):
    """An answer of which little waits in memory beside the body itself: no piece is made before the last has left."""

    def __init__(self, body: bytes, folder: Folder | None, *, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(status_code=status, headers=headers)
        del self.headers["content-length"]
        if folder is None:
            self.headers["content-length"] = str(len(body))
        self._pieces = body, folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        body, folder = self._pieces
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for at in range(0, len(body), PIECE_BYTES):
            piece = body[at : at + PIECE_BYTES]
            await _send_on(send, piece if folder is None else folder.compress(piece))
        await send({"type": "http.response.body", "body": b"" if folder is None else folder.flush()})


async def _send_on(send: Send, piece: bytes) -> None:
    if piece:
        await send({"type": "http.response.body", "body": piece, "more_body": True})


def _preferred(accepted: str) -> str | None:
    """The coding that a client likes best of those that are written; ``None``: it takes none of them."""
    likes = dict[str, float]()
    for each in accepted.lower().split(","):
        coding, _, quality = each.partition(";")
        likes[coding.strip()] = _quality(quality)
    best = max(_FOLDERS, key=lambda coding: likes.get(coding, 0.0))
    return best if likes.get(best, 0.0) > 0 else None


def _quality(text: str) -> float:
    """What stands behind a coding; what cannot be read says that it is not wanted."""
    name, _, value = text.partition("=")
    if not name.strip():
        return 1.0
    try:
        found = float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
    return found if 0 <= found <= 1 else 0.0
