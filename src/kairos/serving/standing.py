"""What the server says of itself: health, models, counts, and how far it follows the ledger."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kairos.errors import UsageError
from kairos.serving.deployment import Deployment, Divergence
from kairos.serving.peers import FROM_PEER
from kairos.serving.server import ModelServer
from kairos.serving.wire_errors import json_response
from kairos.values import Json, plain

__all__ = ["standing_routes"]

LONGEST_WAIT_S = 5.0
"""How long ``/state`` waits for a ledger entry to be followed."""


def standing_routes(server: ModelServer, pool: ThreadPoolExecutor) -> list[Route]:
    """``/health``, ``/models``, ``/metrics`` and ``/state``.

    Args:
        server: Of which is told.
        pool: Where other workers are asked.
    """
    standing = _Standing(server, pool)
    told = {
        "/health/live": standing.live,
        "/health/ready": standing.ready,
        "/models": standing.models,
        "/models/{model}": standing.model,
        "/metrics": standing.metrics,
        "/state": standing.state,
    }
    return [Route(path, endpoint, methods=["GET"]) for path, endpoint in told.items()]


class _Standing:
    """What is answered at each path."""

    def __init__(self, server: ModelServer, pool: ThreadPoolExecutor) -> None:
        self._server = server
        self._pool = pool

    async def live(self, request: Request) -> Response:
        """``GET /health/live``: the process answers."""
        return json_response({"live": True})

    async def ready(self, request: Request) -> Response:
        """``GET /health/ready``: every live model is in memory and has predicted."""
        deployment, follower = self._server.follower.deployment, self._server.follower
        missing = sorted(deployment.wanted - deployment.routes.keys())
        is_ready = self._server.is_ready
        body = {
            "ready": is_ready,
            "follows_ledger": follower.is_following,
            "ledger_trouble": follower.trouble,
            "capture": {
                "mode": "durable" if self._server.is_durable else "fast",
                "trouble": self._server.sink_trouble,
            },
            "workers": [
                {
                    "worker": one.number,
                    "pid": one.pid,
                    "state": one.state,
                    "reason": one.reason,
                    "restarts": one.restarts,
                }
                for one in self._server.peers.places()
            ],
            "missing": missing,
            "diverged": [_divergence_body(each) for each in deployment.diverged],
            "troubles": [
                {"version": str(trouble.ref), "role": trouble.role, "reason": trouble.reason}
                for trouble in deployment.troubles
            ],
        }
        return json_response(body, status=200 if is_ready else 503)

    async def models(self, request: Request) -> Response:
        """``GET /models``: what answers."""
        deployment = self._server.follower.deployment
        return json_response({"models": [_model_body(deployment, name) for name in sorted(deployment.routes)]})

    async def model(self, request: Request) -> Response:
        """``GET /models/{model}``: the same for one, with the columns that it takes."""
        deployment = self._server.follower.deployment
        route = deployment.route(request.path_params["model"])
        hidden = route.champion.policy.capture.pseudonymise
        columns = [asdict(column.told(is_hidden=column.name in hidden)) for column in route.champion.signature.columns]
        body = {**_model_body(deployment, route.model), "columns": plain(columns)}
        outputs = route.champion.signature.outputs
        return json_response({**body, "outputs": plain(outputs)} if outputs else body)

    async def metrics(self, request: Request) -> Response:
        """``GET /metrics`` for Prometheus."""
        return PlainTextResponse(self._server.metrics.text(), media_type="text/plain; version=0.0.4")

    async def state(self, request: Request) -> Response:
        """``GET /state?seq=N&model=M``: waits until ledger entry N is followed, and says whether it is what answers.

        With several workers: whether all of them do. It is not where the ledger's champion, of model M or of any,
        cannot be loaded.
        """
        wanted = request.query_params.get("seq", "0")
        if not wanted.isascii() or not wanted.isdigit() or len(wanted) > 18:
            raise UsageError(
                "The number of a ledger entry cannot be read.", given=wanted[:40], accepted="0 or more", field="seq"
            )
        loop = asyncio.get_running_loop()
        until_s = loop.time() + LONGEST_WAIT_S
        while self._seq() < int(wanted) and loop.time() < until_s:
            self._server.follower.wake()
            await asyncio.sleep(0.002)
        deployment, model = self._server.follower.deployment, request.query_params.get("model")
        diverged = [each for each in deployment.diverged if model in (None, each.model)]
        body = {
            "seq": deployment.seq,
            "reached": deployment.seq >= int(wanted) and not diverged,
            "diverged": [_divergence_body(each) for each in diverged],
        }
        if self._server.peers and FROM_PEER not in request.headers:
            query = dict(request.query_params)
            others = await loop.run_in_executor(self._pool, self._server.peers.states, query)
            body["seq"] = min([deployment.seq, *(each["seq"] for each in others)])
            body["reached"] = body["reached"] and all(each["reached"] for each in others)
        return json_response(body)

    def _seq(self) -> int:
        deployment: Deployment = self._server.follower.deployment
        return deployment.seq


def _divergence_body(divergence: Divergence) -> Json:
    answers = None if divergence.answers is None else str(divergence.answers)
    return {
        "model": divergence.model,
        "ledger": str(divergence.ledger),
        "answers": answers,
        "reason": divergence.reason,
    }


def _model_body(deployment: Deployment, model: str) -> Json:
    route = deployment.routes[model]
    diverged = [_divergence_body(each) for each in deployment.diverged if each.model == model]
    return {
        "model": route.model,
        "version": route.champion.ref.number,
        "challenger": None if route.challenger is None else route.challenger.ref.number,
        "challenger_share": route.share,
        "previous": None if route.previous is None else route.previous.ref.number,
        "diverged": diverged[0] if diverged else None,
    }
