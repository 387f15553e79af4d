"""The server's HTTP: routes, limits, and one JSON shape for every error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from kairos.errors import KairosError, Overloaded, StoreError, UsageError
from kairos.serving.bodies import Patience, read_body, respond
from kairos.serving.connections.limits import USUAL
from kairos.serving.doors import inference_routes, mlflow_routes, told_routes
from kairos.serving.handlers import NoFaultLeaves, gone, http_error, known_error
from kairos.serving.kept import keep
from kairos.serving.lane import Lanes
from kairos.serving.peers import FROM_PEER
from kairos.serving.protocols import Plain
from kairos.serving.quick import Quick
from kairos.serving.rows import Codec, Infer, Written
from kairos.serving.server import ModelServer
from kairos.serving.standing import standing_routes
from kairos.serving.wire_errors import error_body, json_response

__all__ = ["make_app"]

_log = logging.getLogger("kairos.serving")

THREADS = 4
"""Requests that are worked on at once; the interpreter runs one at a time, numeric libraries more."""

MOST_WAITING = 256
"""Requests that are worked on or wait for it; one more is refused, so that it can go to another instance."""

LARGEST_QUICK_BYTES = 64 << 10
"""Bodies up to this are read in the event loop; reading a larger one would hold up everybody else."""

PLAIN = Plain()

Page = Callable[[], str]
Endpoint = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")
Beside = Callable[[Infer], AbstractAsyncContextManager[object]]
"""Another way to the server: a context manager that is given what answers."""


def make_app(
    server: ModelServer,
    *,
    pages: Mapping[str, Page] | None = None,
    beside: Beside = lambda infer: nullcontext(),
    longest_read_s: float = USUAL.body_s,
) -> Starlette:
    """The ASGI application of a server; it starts and closes the server with its own life.

    Args:
        server: Answers.
        pages: HTML by path, such as a status page; each is made anew for every request.
        beside: Another way to the server, open while the application is; given what answers in any protocol.
        longest_read_s: How long the body of a request may take to arrive.
    """
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="kairos-predict")
    page_pool = ThreadPoolExecutor(1, thread_name_prefix="kairos-page")  # so that no visit takes a prediction's place
    endpoints = _Endpoints(server, pool)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        await asyncio.get_running_loop().run_in_executor(pool, server.start)
        keep()
        async with beside(endpoints.infer):
            yield
        endpoints.close()
        pool.shutdown()
        page_pool.shutdown()
        server.close()

    routes = [
        Route("/predict/{model}", endpoints.predict, methods=["POST"]),
        Route("/labels", endpoints.labels, methods=["POST"]),
        Route("/events", endpoints.events, methods=["POST"]),
        *standing_routes(server, pool),
        *inference_routes(server, endpoints.answer),
        *mlflow_routes(server, endpoints.answer),
        *told_routes(server),
        *(Route(path, _page(page, page_pool), methods=["GET"]) for path, page in (pages or {}).items()),
    ]
    handlers = {
        HTTPException: http_error,
        KairosError: known_error,
        ClientDisconnect: gone,
    }
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(NoFaultLeaves, clock=server.clock),
            Middleware(Quick, answer=endpoints.answer),
        ],
        exception_handlers=handlers,  # type: ignore[arg-type]
        lifespan=life,
    )
    app.state.patience = Patience(longest_read_s, lambda: server.metrics.cut_off("slow"))
    app.router.redirect_slashes = False  # a redirect has no JSON
    return app


class _Endpoints:
    """What is answered at each path."""

    def __init__(self, server: ModelServer, pool: ThreadPoolExecutor) -> None:
        self._server = server
        self._pool = pool
        self._waiting = 0
        self._made: Lanes | None = None

    @property
    def _lanes(self) -> Lanes:
        """The lanes of this event loop, which is there once a request is."""
        if self._made is None:
            self._made = Lanes(self._server.answer, clock=self._server.clock)
        return self._made

    def close(self) -> None:
        """Lets go of all threads."""
        if self._made is not None:
            self._made.close()

    async def predict(self, request: Request) -> Response:
        """``POST /predict/{model}``."""
        return await self.answer(request, request.path_params["model"], PLAIN, None)

    async def answer(self, request: Request, model: str, codec: Codec, version: int | None) -> Response:
        """A prediction request in any protocol; see ``doors.Predict``."""
        data = await read_body(request)
        headers = request.headers
        written = await self.infer(model, data, codec, version=version, headers=headers, within_s=_patience_s(headers))
        return respond(written, request)

    async def infer(
        self,
        model: str,
        data: bytes,
        codec: Codec,
        *,
        version: int | None,
        headers: Mapping[str, str],
        within_s: float | None,
    ) -> Written:
        """A prediction request, wherever it came from; see ``Infer``."""
        server = self._server
        server.move_clock(headers.get("kairos-at"))
        if server.is_replay:  # one after the other, in the order in which they came
            return server.predict(model, data, codec=codec, headers=headers, version=version).written
        loop, is_large = asyncio.get_running_loop(), len(data) > LARGEST_QUICK_BYTES
        reads = partial(server.read, model, data, codec=codec, headers=headers, version=version)
        ask = await loop.run_in_executor(self._pool, reads) if is_large else reads()
        try:
            answers = await self._lanes.of(ask.route.model).submit(ask, within_s=within_s)
        except Exception as error:
            server.lost(ask, error)
            raise
        writes = partial(server.write, ask, answers)
        written: Written = await loop.run_in_executor(self._pool, writes) if is_large else writes()
        return written

    async def labels(self, request: Request) -> Response:
        """``POST /labels``."""
        try:
            taken = await self._work(request, self._server.take_labels)
        except StoreError as error:
            _log.error("Labels were refused, because they could not be kept: %s", error)
            return json_response(
                error_body("store_error", "The labels could not be kept; send them again later."),
                status=503,
                headers={"retry-after": "5"},
            )
        return json_response({"labels": taken})

    async def events(self, request: Request) -> Response:
        """``POST /events``."""
        is_from_peer = FROM_PEER in request.headers
        if is_from_peer:  # at once: were it to wait for a thread, two workers could wait for each other
            found = self._server.take_events(await read_body(request), is_from_peer=True)
        else:
            found = await self._work(request, self._server.take_events)
        events, counted, unknown = found
        told = {"unknown": unknown} if is_from_peer else {}
        return json_response({"events": events, "counted": counted, **told})

    async def _work(self, request: Request, work: Callable[[bytes], T]) -> T:
        """Does the work with a request's body in a thread, so that other requests go on."""
        data = await read_body(request)
        if self._waiting >= MOST_WAITING:
            raise Overloaded("Too many requests wait already.", accepted=f"up to {MOST_WAITING} at once")
        self._server.move_clock(request.headers.get("kairos-at"))
        if self._server.is_replay:
            return work(data)  # one after the other, in the order in which they came; and a thread costs 0.15 ms
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, data)
        finally:
            self._waiting -= 1


def _patience_s(headers: Mapping[str, str]) -> float | None:
    """How long a client waits, by its header ``timeout-ms``; ``None``: it does not say.

    Raises:
        UsageError: it is no positive number.
    """
    told = headers.get("timeout-ms")
    if told is None:
        return None
    if not told.isascii() or not told.isdigit() or not 0 < len(told) < 10 or int(told) == 0:
        raise UsageError(
            "The header 'timeout-ms' cannot be read.", given=repr(told[:40]), accepted="milliseconds, 1 or more"
        )
    return int(told) / 1000


def _page(page: Page, pool: ThreadPoolExecutor) -> Endpoint:
    async def show(request: Request) -> Response:
        return HTMLResponse(await asyncio.get_running_loop().run_in_executor(pool, page))

    return show
