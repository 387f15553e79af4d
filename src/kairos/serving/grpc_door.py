"""The Open Inference Protocol over gRPC: a port of its own beside the HTTP one. Needs the extra ``grpc``.

Calls wait in the same lanes as HTTP's requests and go together with them; gRPC's own deadline says how long.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from kairos import __version__
from kairos.clock import Clock
from kairos.errors import KairosError, UsageError
from kairos.serving.answering import named
from kairos.serving.body import LARGEST_BODY_BYTES
from kairos.serving.connections.tls import Certificate
from kairos.serving.deployment import LoadedRoute
from kairos.serving.faults import Faults
from kairos.serving.protocols.inference_grpc import InferenceMessage
from kairos.serving.protocols.messages import CALLS, SERVICE, message, read_message
from kairos.serving.repository import EXTENSIONS, cannot_unload, index, metadata_of, read_number
from kairos.serving.rows import Infer
from kairos.serving.server import ModelServer

__all__ = ["GrpcDoor"]

_log = logging.getLogger("kairos.serving")

MOST_AT_ONCE = 1_024
"""Calls that are worked on or wait for it; one more is refused with ``RESOURCE_EXHAUSTED``."""

GRACE_S = 10.0
"""How long calls that are on their way may take at the end."""

_OPTIONS = (("grpc.max_receive_message_length", LARGEST_BODY_BYTES),)  # of a message once it is unfolded
_STATUS = grpc.StatusCode
_STATUSES: Mapping[int, Any] = {
    404: _STATUS.NOT_FOUND,
    409: _STATUS.FAILED_PRECONDITION,
    413: _STATUS.RESOURCE_EXHAUSTED,
    500: _STATUS.INTERNAL,
    503: _STATUS.UNAVAILABLE,
    504: _STATUS.DEADLINE_EXCEEDED,
}
"""gRPC's status for HTTP's; all others are ``INVALID_ARGUMENT``."""


class GrpcDoor:
    """Has a port, and answers calls there while it is ``open``. To be used in the server's event loop."""

    def __init__(self, server: ModelServer, certificate: Certificate | None = None) -> None:
        self._server = server
        self._certificate = certificate
        self._running: Any = None

    def bind(self, host: str, port: int, *, is_shared: bool = False) -> str:
        """Takes an address; gives it back as clients write it.

        Args:
            host: Address to listen at.
            port: 0 for any free one.
            is_shared: Whether other workers of the same server take it as well.

        Raises:
            UsageError: the address cannot be listened at.
        """
        options = [*_OPTIONS, ("grpc.so_reuseport", int(is_shared))]  # else a port that is taken is an error
        self._running = grpc.aio.server(options=options, maximum_concurrent_rpcs=MOST_AT_ONCE)
        shown = f"[{host}]" if ":" in host else host
        try:
            return f"{shown}:{self._add(f'{shown}:{port}')}"
        except RuntimeError as error:
            raise UsageError(
                f"The server cannot listen at {host}:{port} for gRPC.",
                given=str(error),
                hint="Type another one: --grpc-port 0",
            ) from error

    def _add(self, address: str) -> int:
        if self._certificate is None:
            return int(self._running.add_insecure_port(address))
        pair = (self._certificate.key.read_bytes(), self._certificate.cert.read_bytes())
        return int(self._running.add_secure_port(address, grpc.ssl_server_credentials([pair])))

    @asynccontextmanager
    async def open(self, infer: Infer) -> AsyncIterator[None]:
        """Answers until the block ends; calls on their way are answered first, for ``GRACE_S`` at most."""
        self._running.add_generic_rpc_handlers((_handlers(_Door(self._server, infer), clock=self._server.clock),))
        await self._running.start()
        try:
            yield
        finally:
            await self._running.stop(GRACE_S)


@dataclass(frozen=True, slots=True)
class _Came:
    """A call that came."""

    request: Any
    """The message."""
    data: bytes
    """The same as it came."""
    left_s: float | None
    """When the client stops waiting; ``None``: she does not say."""


def _handlers(door: _Door, *, clock: Clock) -> Any:
    faults = Faults()
    calls: Mapping[str, Callable[[_Came], Awaitable[bytes]]] = {
        "ServerLive": door.live,
        "ServerReady": door.ready,
        "ModelReady": door.model_ready,
        "ServerMetadata": door.server,
        "ModelMetadata": door.model,
        "ModelInfer": door.infer,
        "RepositoryIndex": door.index,
        "RepositoryModelLoad": door.load,
        "RepositoryModelUnload": door.unload,
    }
    assert calls.keys() == CALLS.keys()

    def handler(call: str) -> Any:
        async def answer(data: bytes, context: Any) -> bytes:
            status, text = _STATUS.INTERNAL, "The server failed; its log says why."
            try:
                return await calls[call](_Came(read_message(call, data), data, context.time_remaining()))
            except KairosError as error:
                if error.http_status >= 500:
                    _log.error("The call %s: %s", call, error)
                if error.http_status != 500:
                    status, text = _refusal(error)
            except Exception as error:
                faults.tell(f"A {call} call failed", error, at_s=clock.elapsed_s())
            await context.abort(status, text)
            raise AssertionError  # abort raises

        return grpc.unary_unary_rpc_method_handler(answer)

    return grpc.method_handlers_generic_handler(SERVICE, {call: handler(call) for call in calls})


def _refusal(error: KairosError) -> tuple[Any, str]:
    written = InferenceMessage(None).refuse(error)
    return _STATUSES.get(written.status, _STATUS.INVALID_ARGUMENT), written.body.decode()


class _Door:
    """What is answered to each call."""

    def __init__(self, server: ModelServer, infer: Infer) -> None:
        self._server = server
        self._infer = infer

    async def live(self, came: _Came) -> bytes:
        """``ServerLive``."""
        return _bytes("ServerLiveResponse", live=True)

    async def ready(self, came: _Came) -> bytes:
        """``ServerReady``."""
        return _bytes("ServerReadyResponse", ready=self._server.is_ready)

    async def model_ready(self, came: _Came) -> bytes:
        """``ModelReady``; what is loaded has predicted."""
        route, number = self._route(came.request.name), read_number(came.request.version or None)
        if number is not None:
            named(route, number)
        return _bytes("ModelReadyResponse", ready=True)

    async def server(self, came: _Came) -> bytes:
        """``ServerMetadata``."""
        return _bytes("ServerMetadataResponse", name="kairos", version=__version__, extensions=EXTENSIONS)

    async def model(self, came: _Came) -> bytes:
        """``ModelMetadata``: tensors as the champion or the version named takes them."""
        told = metadata_of(self._route(came.request.name), read_number(came.request.version or None))
        kept = ("name", "datatype", "shape")
        tensors = {
            side: [
                message("ModelMetadataResponse.TensorMetadata", **{part: tensor[part] for part in kept})
                for tensor in told[side]
            ]
            for side in ("inputs", "outputs")
        }
        return _bytes("ModelMetadataResponse", **{**told, **tensors})

    async def infer(self, came: _Came) -> bytes:
        """``ModelInfer``."""
        written = await self._infer(
            came.request.model_name,
            came.data,
            InferenceMessage(came.request),
            version=read_number(came.request.model_version or None),
            headers={},
            within_s=came.left_s,
        )
        return written.body

    async def index(self, came: _Came) -> bytes:
        """``RepositoryIndex``: every version that the server has, or should have and cannot load."""
        found = index(self._server.follower.deployment, only_ready=came.request.ready)
        models = [message("RepositoryIndexResponse.ModelIndex", **each) for each in found]
        return _bytes("RepositoryIndexResponse", models=models)

    async def load(self, came: _Came) -> bytes:
        """``RepositoryModelLoad``: true of a live model already, else the ledger's to decide."""
        route = self._route(came.request.model_name or came.request.repository_or_model_name)
        return _bytes("RepositoryModelLoadResponse", model_name=route.model, isLoaded=True)

    async def unload(self, came: _Came) -> bytes:
        """``RepositoryModelUnload``: never; a client cannot take a model from its users."""
        raise cannot_unload(self._route(came.request.model_name or came.request.repository_or_model_name))

    def _route(self, model: str) -> LoadedRoute:
        return self._server.follower.deployment.route(model)


def _bytes(name: str, /, **fields: object) -> bytes:
    data: bytes = message(name, **fields).SerializeToString()
    return data
