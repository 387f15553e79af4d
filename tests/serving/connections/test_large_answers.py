"""Answers larger than what a client lets in: they leave in pieces, as fast as they are taken, in little memory."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import socket
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from kairos.serving.bodies import respond
from kairos.serving.connections.http1 import Http1
from kairos.serving.connections.limits import USUAL
from kairos.serving.rows import Written

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROWS = json.dumps([{"prediction": 1000.0 + n / 7, "prediction_id": f"p{n:032x}"} for n in range(200_000)]).encode()
"""An answer of 200,000 rows, 15 MB: far more than the server gives today."""

MOST_BYTES = 2 << 20
"""That the server may hold of an answer beside its body: compressed pieces, windows, buffers of sockets."""

OPENERS: dict[str, Callable[[bytes], bytes]] = {"identity": bytes, "gzip": gzip.decompress, "zstd": zstd.decompress}


class Answering:
    """An application that gives the answer, and knows how much of it has been handed on."""

    def __init__(self) -> None:
        self.handed_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""

        async def counted(message: object) -> None:
            assert isinstance(message, dict)
            await send(message)
            self.handed_bytes += len(message.get("body", b""))

        written = Written(headers={"content-type": "application/json"}, body=ROWS)
        await respond(written, Request(scope))(scope, receive, counted)


@asynccontextmanager
async def answering() -> AsyncIterator[tuple[str, Answering]]:
    """The URL of a server in this process, and its application."""
    app, loop = Answering(), asyncio.get_running_loop()
    config = uvicorn.Config(app, ws="none", log_level="warning")
    config.load()
    state = uvicorn.server.ServerState()
    listener = socket.create_server(("127.0.0.1", 0))
    config.loaded_app = app
    server = await loop.create_server(partial(Http1, config, state, {}, limits=USUAL), sock=listener)
    async with server:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", app


@pytest.mark.parametrize("coding", OPENERS)
@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_a_large_answer_takes_little_memory_beside_itself(http2: bool, coding: str) -> None:
    """Plain or compressed; the client, which throws away what it gets, is in the figure."""

    async def take() -> int:
        async with answering() as (url, _), httpx.AsyncClient(http1=not http2, http2=http2) as client:
            gc.collect()
            tracemalloc.start()
            try:
                async with client.stream("GET", url, headers={"accept-encoding": coding}) as answer:
                    async for _ in answer.aiter_raw(64 << 10):
                        pass
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert asyncio.run(take()) < MOST_BYTES < len(ROWS) / 5


@pytest.mark.parametrize("coding", OPENERS)
@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_a_large_answer_arrives_whole(http2: bool, coding: str) -> None:
    """Every byte of it."""

    async def take() -> bytes:
        async with (
            answering() as (url, _),
            httpx.AsyncClient(http1=not http2, http2=http2) as client,
            client.stream("GET", url, headers={"accept-encoding": coding}) as answer,
        ):
            assert answer.headers.get("content-encoding", "identity") == coding
            return b"".join([piece async for piece in answer.aiter_raw()])

    assert OPENERS[coding](asyncio.run(take())) == ROWS


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_no_piece_is_made_before_the_one_before_it_has_left(http2: bool) -> None:
    """A client that stops reading stops the making of its answer."""

    async def take() -> tuple[int, int]:
        async with answering() as (url, app), httpx.AsyncClient(http1=not http2, http2=http2) as client:
            async with client.stream("GET", url, headers={"accept-encoding": "identity"}) as answer:
                pieces = answer.aiter_raw(1_000)
                await anext(pieces)
                handed = -1
                while handed != app.handed_bytes:  # until the sockets between them are full
                    handed = app.handed_bytes
                    await asyncio.sleep(0.1)
                async for _ in pieces:
                    pass
            return handed, app.handed_bytes

    stopped, whole = asyncio.run(take())
    assert stopped < whole / 2
    assert whole == len(ROWS)
