"""The paths of the Open Inference Protocol, of MLflow's scoring and of the OpenAPI document, as routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version as version_of

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from kairos import __version__
from kairos.errors import KairosError, NotFound, UsageError
from kairos.serving.answering import named
from kairos.serving.bodies import CODINGS, read_body, respond
from kairos.serving.body import read_json, refuse
from kairos.serving.deployment import LoadedRoute
from kairos.serving.protocols import Inference, MlflowScoring
from kairos.serving.protocols.openapi import Told, document, page
from kairos.serving.repository import EXTENSIONS, cannot_unload, index, metadata_of, read_number
from kairos.serving.rows import Codec
from kairos.serving.server import ModelServer
from kairos.serving.wire_errors import json_response
from kairos.values import plain

__all__ = ["Predict", "inference_routes", "mlflow_routes", "told_routes"]

Predict = Callable[[Request, str, Codec, "int | None"], Awaitable[Response]]
"""Answers a request for a model in a protocol; for one version of it, if a number is given."""

_Endpoint = Callable[[Request], Awaitable[Response]]


_TEXTS = {
    408: "The request took too long to arrive.",
    413: "The request is too large.",
    415: f"The content-encoding is not read; {', '.join(CODINGS)} are.",
}


def refusing(codec: Codec, endpoint: _Endpoint) -> _Endpoint:
    """The endpoint, whose refusals are written as the protocol writes them."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except HTTPException as error:
            refusal = KairosError(_TEXTS.get(error.status_code, str(error.detail)))  # HTTP's own, as of a large body
            refusal.http_status = error.status_code  # type: ignore[misc]  # of this one error
        except KairosError as error:
            if error.http_status == 500:
                raise  # a fault of ours shows nothing
            refusal = error
        return respond(codec.refuse(refusal), request)

    return answer


def inference_routes(server: ModelServer, predict: Predict) -> list[Route]:
    """``/v2``: the Open Inference Protocol with binary tensors and the repository's index."""
    door, codec = _InferenceDoor(server, predict), Inference()
    model = "/v2/models/{model}"
    one = model + "/versions/{version}"
    told: Sequence[tuple[str, str, _Endpoint]] = (
        *(("GET", path, door.server) for path in ("/v2", "/v2/")),
        ("GET", "/v2/health/live", door.live),
        ("GET", "/v2/health/ready", door.ready),
        ("GET", "/v2/models", door.models),
        *(("GET", path, door.model) for path in (model, one)),
        *(("GET", path + "/ready", door.model_ready) for path in (model, one)),
        *(("POST", path + "/infer", door.infer) for path in (model, one)),
        ("POST", "/v2/repository/index", door.index),
        ("POST", "/v2/repository/models/{model}/load", door.load),
        ("POST", "/v2/repository/models/{model}/unload", door.unload),
    )
    return [Route(path, refusing(codec, endpoint), methods=[method]) for method, path, endpoint in told]


class _InferenceDoor:
    """What is answered below ``/v2``."""

    def __init__(self, server: ModelServer, predict: Predict) -> None:
        self._server = server
        self._predict = predict

    async def server(self, request: Request) -> Response:
        """``GET /v2``."""
        return json_response({"name": "kairos", "version": __version__, "extensions": list(EXTENSIONS)})

    async def live(self, request: Request) -> Response:
        """``GET /v2/health/live``."""
        return json_response({"live": True})

    async def ready(self, request: Request) -> Response:
        """``GET /v2/health/ready``."""
        is_ready = self._server.is_ready
        return json_response({"ready": is_ready}, status=200 if is_ready else 503)

    async def models(self, request: Request) -> Response:
        """``GET /v2/models``, which KServe's client asks for."""
        return json_response({"models": sorted(self._server.follower.deployment.routes)})

    async def model(self, request: Request) -> Response:
        """``GET /v2/models/MODEL``: its tensors, as the champion or the version named takes them."""
        return json_response(metadata_of(self._route(request), _number(request)))

    async def model_ready(self, request: Request) -> Response:
        """``GET /v2/models/MODEL/ready``; what is loaded has predicted."""
        route, number = self._route(request), _number(request)
        if number is not None:
            named(route, number)
        return json_response({"name": route.model, "ready": True})

    async def infer(self, request: Request) -> Response:
        """``POST /v2/models/MODEL/infer``."""
        return await self._predict(request, request.path_params["model"], Inference(), _number(request))

    async def index(self, request: Request) -> Response:
        """``POST /v2/repository/index``: every version that the server has, or should have and cannot load."""
        wish = await read_body(request)
        asked = read_json(wish) if wish else {}
        if not isinstance(asked, dict) or type(asked.get("ready", False)) is not bool:
            raise refuse("What is asked of the index cannot be read.", field="ready", accepted='{"ready": true}')
        return json_response(plain(index(self._server.follower.deployment, only_ready=asked.get("ready", False))))

    async def load(self, request: Request) -> Response:
        """``POST /v2/repository/models/MODEL/load``: true of a live model already, else the ledger's to decide."""
        self._route(request)
        return json_response({})

    async def unload(self, request: Request) -> Response:
        """``POST /v2/repository/models/MODEL/unload``: never; a client cannot take a model from its users."""
        raise cannot_unload(self._route(request))

    def _route(self, request: Request) -> LoadedRoute:
        return self._server.follower.deployment.route(request.path_params["model"])


def _number(request: Request) -> int | None:
    return read_number(request.path_params.get("version"))


def mlflow_routes(server: ModelServer, predict: Predict) -> list[Route]:
    """``/invocations`` and what stands beside it in MLflow's scoring server."""
    codec = MlflowScoring()

    async def invocations(request: Request) -> Response:
        model = request.path_params.get("model") or _only_model(server)
        return await predict(request, model, codec, None)

    async def ping(request: Request) -> Response:
        status = 200 if server.is_ready else 404  # as MLflow's
        return Response("\n", status_code=status, media_type="application/json")

    async def version(request: Request) -> Response:
        return Response(version_of("mlflow-skinny"), media_type="application/json")

    return [
        Route("/invocations", refusing(codec, invocations), methods=["POST"]),
        Route("/invocations/{model}", refusing(codec, invocations), methods=["POST"]),
        Route("/ping", ping, methods=["GET"]),
        Route("/health", ping, methods=["GET"]),
        Route("/version", version, methods=["GET"]),
    ]


def _only_model(server: ModelServer) -> str:
    names = sorted(server.follower.deployment.routes)
    if len(names) == 1:
        return names[0]
    if not names:
        raise NotFound("No model is live.", hint="See /health/ready.")
    raise UsageError(
        "Several models are live, and /invocations does not say which.",
        accepted=", ".join(f"/invocations/{name}" for name in names),
    )


def told_routes(server: ModelServer) -> list[Route]:
    """``/openapi.json`` and ``/docs``: the live models as they are when somebody asks."""

    async def openapi(request: Request) -> Response:
        return json_response(document(_told(server), version=__version__))

    async def docs(request: Request) -> Response:
        return HTMLResponse(page(_told(server)), headers={"content-security-policy": _NOTHING_FROM_OUTSIDE})

    return [Route("/openapi.json", openapi, methods=["GET"]), Route("/docs", docs, methods=["GET"])]


_NOTHING_FROM_OUTSIDE = "default-src 'none'; style-src 'unsafe-inline'"


def _told(server: ModelServer) -> list[Told]:
    routes = server.follower.deployment.routes
    told = []
    for name in sorted(routes):
        champion = routes[name].champion
        hidden = champion.policy.capture.pseudonymise
        columns = [column.told(is_hidden=column.name in hidden) for column in champion.signature.columns]
        told.append(
            Told(
                model=name,
                version=champion.ref.number,
                columns=columns,
                outputs=champion.signature.outputs,
                entity=champion.entity,
                time=champion.time,
                rank_within=champion.rank_within,
                item=champion.item,
            )
        )
    return told
