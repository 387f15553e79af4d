"""The short way for what a model server is asked most: one model, one body, and nothing to look up on the way.

It gives what the routes behind it give, and leaves to them whatever is odd.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kairos.errors import KairosError
from kairos.serving.handlers import refusal
from kairos.serving.protocols import Plain
from kairos.serving.rows import Codec

__all__ = ["Quick"]

_PLAIN = Plain()
_PREFIX = "/predict/"


class Quick:
    """Answers ``POST /predict/MODEL`` and lets all else through."""

    def __init__(
        self, app: ASGIApp, *, answer: Callable[[Request, str, Codec, int | None], Awaitable[Response]]
    ) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or lets it through."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        model = scope["path"][len(_PREFIX) :]
        if not model or "/" in model:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request, model, _PLAIN, None)
        except (HTTPException, KairosError, ClientDisconnect) as error:
            response = await refusal(request, error)
        await response(scope, receive, send)
