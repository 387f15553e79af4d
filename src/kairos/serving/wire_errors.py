"""The one JSON shape of every error that leaves the server."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from kairos.errors import KairosError
from kairos.values import Json

__all__ = ["error_body", "error_response", "json_response"]

_ENCODER = msgspec.json.Encoder()
_LONGEST_MESSAGE = 500
_LONGEST_FIELD = 200


def error_body(
    code: str,
    message: str,
    *,
    field: str | None = None,
    row: int | None = None,
    accepted: str | None = None,
    hint: str | None = None,
) -> Json:
    """``{"error": {"code", "message", "field", "row", "accepted", "hint"}}``; every key is always there.

    ``code`` is for programs and stays the same from release to release, ``message`` is for people; ``field`` names what
    was wrong and ``row`` counts from 0.
    """
    return {
        "error": {
            "code": code,
            "message": message[:_LONGEST_MESSAGE],
            "field": None if field is None else field[:_LONGEST_FIELD],
            "row": row,
            "accepted": accepted,
            "hint": hint,
        }
    }


def error_response(error: KairosError) -> Response:
    """An error of ours as an answer. What it says is about this request alone."""
    message = error.what
    if error.given is not None:
        given = error.given if isinstance(error.given, str) else repr(error.given)
        message = f"{message} Given: {given}."
    body = error_body(
        error.code,
        message,
        field=error.facts.get("field"),
        row=error.facts.get("row"),
        accepted=error.accepted,
        hint=error.hint,
    )
    headers = {"retry-after": "1"} if error.http_status == 503 else None
    return json_response(body, status=error.http_status, headers=headers)


def json_response(body: Json, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(_ENCODER.encode(body), status_code=status, headers=headers, media_type="application/json")
