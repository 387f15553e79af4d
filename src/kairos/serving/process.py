"""The server as a process: a socket, uvicorn, and an orderly end."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple, cast

import uvicorn

from kairos.errors import AdapterMissing, KairosError, UsageError
from kairos.serving.app import Page, make_app
from kairos.serving.beats import BEAT_S, Beats
from kairos.serving.connections.http1 import Http1
from kairos.serving.connections.keeper import Keeper, Kept, make_room
from kairos.serving.connections.limits import USUAL, Limits
from kairos.serving.connections.tls import Certificate
from kairos.serving.server import ModelServer
from kairos.serving.workers import BEATS, Seat, Told, listen

if TYPE_CHECKING:
    from kairos.serving.grpc_door import GrpcDoor

__all__ = ["serve", "work"]

_BACKLOG = 2048
"""Connections that the system holds until they are taken."""


def serve(
    server: ModelServer,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    pages: Mapping[str, Page] | None = None,
    grpc_port: int | None = None,
    certificate: Certificate | None = None,
    limits: Limits = USUAL,
    on_grpc: Callable[[str], None] = lambda address: None,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serves until the process is told to stop (SIGTERM or Ctrl-C); requests on their way are answered first.

    Ctrl-C once more ends the process at once, with 130. Else it returns normally, so that the caller can end what is
    her own.

    Args:
        server: What answers; closed at the end.
        host: Address to listen at.
        port: 0 for any free one.
        pages: HTML by path.
        grpc_port: Where gRPC is spoken as well, 0 for any free one; ``None``: nowhere.
        certificate: For TLS; ``None``: it is not spoken.
        limits: For clients.
        on_grpc: Told the address of that, such as ``127.0.0.1:8001``, before ``on_ready``.
        on_ready: Told the URL as soon as requests are answered.

    Raises:
        UsageError: an address cannot be listened at.
        AdapterMissing: gRPC is asked for, and its extra is not installed.
    """
    try:
        door = None if grpc_port is None else _grpc_door(server, certificate)
        [listener] = listen(host, port)
    except KairosError:
        server.close()
        raise
    bound_port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host

    def bind() -> None:
        if door is not None and grpc_port is not None:
            on_grpc(door.bind(host, grpc_port))

    url = f"{'http' if certificate is None else 'https'}://{shown}:{bound_port}"
    doors = _Doors(listener, None, certificate, limits, server.metrics.cut_off)
    running = _Announcing(_config(server, pages, door, limits), doors, bind=bind, on_ready=lambda: on_ready(url))
    with listener, _stop_signals_end_here(running):
        running.run()
    if running.refusal is not None:
        server.close()
        raise running.refusal


def work(
    server: ModelServer,
    seat: Seat,
    *,
    pages: Mapping[str, Page] | None = None,
    grpc_at: tuple[str, int] | None = None,
    certificate: Certificate | None = None,
    limits: Limits = USUAL,
    told: Callable[[], Told] = dict,
) -> None:
    """Serves as one of several workers until SIGTERM, or until the supervisor is gone; Ctrl-C is the supervisor's.

    Args:
        server: What answers; closed at the end.
        seat: The worker's place.
        pages: HTML by path.
        grpc_at: Host and port that all workers share for gRPC; ``None``: it is not spoken.
        certificate: For TLS; ``None``: it is not spoken.
        limits: For clients of this worker.
        told: What the supervisor is told of this worker once requests are answered.

    Raises:
        UsageError: the address of gRPC cannot be listened at.
        AdapterMissing: gRPC is asked for, and its extra is not installed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    door = None if grpc_at is None else _grpc_door(server, certificate)
    inside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    inside.bind(str(seat.doors[seat.number]))

    def bind() -> None:
        if door is not None and grpc_at is not None:
            door.bind(*grpc_at, is_shared=True)

    beats = Beats(seat.folder / BEATS, count=len(seat.doors))
    server.follower.watch_loading(lambda is_loading: beats.loading(seat.number, is_loading))
    faulthandler.register(signal.SIGUSR2)  # a worker that stands still is asked where, before it is ended

    def begin() -> None:
        _keep_beating(beats, seat.number)
        seat.tell(told())

    doors = _Doors(seat.listener, inside, certificate, limits, server.metrics.cut_off)
    running = _Announcing(_config(server, pages, door, limits), doors, bind=bind, on_ready=begin)
    threading.Thread(target=_until_alone, args=(seat,), name="kairos-supervised", daemon=True).start()
    with seat.listener, inside:
        running.run()
    if running.refusal is not None:
        server.close()
        raise running.refusal


def _keep_beating(beats: Beats, number: int) -> None:
    """Gives signs of life for as long as this event loop turns."""
    beats.beat(number)
    asyncio.get_running_loop().call_later(BEAT_S, _keep_beating, beats, number)


def _until_alone(seat: Seat) -> None:
    """Ends this process in good order when nobody supervises it any more."""
    with suppress(EOFError, OSError):
        seat.line.recv()
    os.kill(os.getpid(), signal.SIGTERM)


def _config(
    server: ModelServer, pages: Mapping[str, Page] | None, door: GrpcDoor | None, limits: Limits
) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").addFilter(_is_ours)
    beside = {} if door is None else {"beside": door.open}
    return uvicorn.Config(
        make_app(server, pages=pages, longest_read_s=limits.body_s, **beside),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=limits.idle_s,  # type: ignore[arg-type]  # any number will do
        timeout_graceful_shutdown=10,
    )


def _is_ours(record: logging.LogRecord) -> bool:
    """Leaves out what uvicorn says of each client's mistake, with which a client could fill the disk."""
    return record.msg != "Invalid HTTP request received."


@contextmanager
def _stop_signals_end_here(running: uvicorn.Server) -> Iterator[None]:
    """Lets the caller go on after a stop: uvicorn, when done, sends the signal to whoever had it before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        running.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Doors(NamedTuple):
    """Where clients come in, and how."""

    listener: socket.socket
    inside: socket.socket | None
    """For other workers."""
    certificate: Certificate | None
    limits: Limits
    tell: Callable[[str], object]
    """Told why a client is not served to the end."""


class _Announcing(uvicorn.Server):
    """Takes other addresses first, in the event loop, and says when it answers."""

    def __init__(
        self, config: uvicorn.Config, doors: _Doors, *, bind: Callable[[], None], on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._doors = doors
        self._bind = bind
        self._on_ready = on_ready
        self.refusal: UsageError | None = None
        """Why it did not start."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends it in order; Ctrl-C once more ends it at once."""
        if self.should_exit and sig == signal.SIGINT:
            os._exit(130)
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, then tells."""
        try:
            self._bind()
        except UsageError as error:
            self.refusal, self.should_exit = error, True
            return
        await super().startup(sockets=[])
        if self.started:
            await self._open()
            self._on_ready()

    async def _open(self) -> None:
        """Takes connections, in uvicorn's place: each is looked after, and TLS is for those from outside."""
        loop, doors = asyncio.get_running_loop(), self._doors
        make_room(doors.limits)
        state = self.lifespan.state
        makes = partial(Http1, self.config, self.server_state, state, limits=doors.limits, tell=doors.tell)
        tls = doors.certificate
        opened = await loop.create_server(
            makes,
            sock=doors.listener,
            backlog=_BACKLOG,
            ssl=None if tls is None else tls.context,
            ssl_handshake_timeout=None if tls is None else doors.limits.head_s,
        )
        self.servers.append(opened)
        if doors.inside is not None:
            self.servers.append(await loop.create_server(makes, sock=doors.inside, backlog=_BACKLOG))
        Keeper(
            lambda: cast("Iterable[Kept]", self.server_state.connections),  # all of them were made here
            renew=lambda: None if tls is None else tls.renew(),
            every_s=doors.limits.look_s,
        ).begin(loop)


def _grpc_door(server: ModelServer, certificate: Certificate | None) -> GrpcDoor:
    try:
        from kairos.serving.grpc_door import GrpcDoor
    except ModuleNotFoundError as error:
        raise AdapterMissing(
            f"The library {error.name!r} is not installed, and the server is to speak gRPC.",
            hint="Type: pip install 'kairos-ml[grpc]'",
        ) from error
    return GrpcDoor(server, certificate)
