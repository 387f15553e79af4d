"""What a client gets where something went wrong: a refusal in the one shape, or that the server failed and no more."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kairos.clock import Clock
from kairos.errors import KairosError
from kairos.serving.bodies import CODINGS
from kairos.serving.body import LARGEST_BODY_BYTES
from kairos.serving.faults import Faults
from kairos.serving.wire_errors import error_body, error_response, json_response

__all__ = ["NoFaultLeaves", "gone", "http_error", "known_error", "refusal"]

_log = logging.getLogger("kairos.serving")

_HTTP_ERRORS = {
    404: ("not_found", "There is nothing at this path."),
    405: ("method_not_allowed", "This path does not take this method."),
    408: ("too_slow", "The request took too long to arrive."),
    413: ("too_large", f"The request is larger than {LARGEST_BODY_BYTES} bytes."),
    415: ("unknown_coding", f"The content-encoding of the request is not read; {', '.join(CODINGS)} are."),
}
_PATHS = (
    "POST /predict/MODEL, POST /labels, POST /events, GET /models, /models/MODEL, /health/live, /health/ready, "
    "/metrics, /state; POST /v2/models/MODEL/infer, POST /invocations"
)


async def http_error(request: Request, error: HTTPException) -> Response:
    code, message = _HTTP_ERRORS.get(error.status_code, ("http_error", str(error.detail)))
    accepted = _PATHS if error.status_code in (404, 405) else None
    headers = dict(error.headers or {})
    if error.status_code in (408, 413):
        headers["connection"] = "close"  # there may be a rest that was not read
    return json_response(error_body(code, message, accepted=accepted), status=error.status_code, headers=headers)


async def known_error(request: Request, error: KairosError) -> Response:
    if error.http_status >= 500:
        _log.error("%s %s: %s", request.method, request.url.path, error)
    return error_response(error) if error.http_status != 500 else json_response(_FAULT, status=500)


_FAULT = error_body("internal_error", "The server failed; its log says why.")


async def gone(request: Request, error: ClientDisconnect) -> Response:
    return Response(status_code=400)  # nobody reads it


async def refusal(request: Request, error: HTTPException | KairosError | ClientDisconnect) -> Response:
    """The answer to a request of plain JSON that is refused."""
    if isinstance(error, HTTPException):
        return await http_error(request, error)
    return await known_error(request, error) if isinstance(error, KairosError) else await gone(request, error)


class NoFaultLeaves:
    """Answers what nobody foresaw with 500. Left to itself it would end in uvicorn's log, with what it quotes."""

    def __init__(self, app: ASGIApp, *, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._faults = Faults()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets the request through."""
        has_begun = False

        async def send_on(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            if scope["type"] != "http":
                raise
            self._faults.tell(f"A {scope['method']} request failed", error, at_s=self._clock.elapsed_s())
            if not has_begun:
                await json_response(_FAULT, status=500)(scope, receive, send)
