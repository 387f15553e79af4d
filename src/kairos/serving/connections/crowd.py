"""What a client gets that asks for too much, and who is never refused."""

from __future__ import annotations

import asyncio
import socket

from starlette.types import ASGIApp, Receive, Scope, Send

from kairos.serving.wire_errors import error_body, json_response

__all__ = ["crowded", "is_inside", "refusing"]


def refusing(status: int, code: str, message: str, *, headers: dict[str, str] | None = None) -> ASGIApp:
    """An ASGI application that answers everything with one error."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await json_response(error_body(code, message), status=status, headers=headers)(scope, receive, send)

    return refuse


crowded = refusing(
    503,
    "overloaded",
    "The server has as many clients as it takes.",
    headers={"retry-after": "1", "connection": "close"},
)
"""Answers where there are too many connections, or requests over HTTP/2."""


def is_inside(transport: asyncio.BaseTransport) -> bool:
    """Whether another worker of the same server is at the other end, who is always let in."""
    found: socket.socket | None = transport.get_extra_info("socket")
    return found is not None and found.family == socket.AF_UNIX
