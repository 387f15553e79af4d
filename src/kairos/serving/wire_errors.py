"""The one JSON shape of every error that leaves the server."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from kairos.errors import KairosError
from kairos.values import Json

__all__ = ["error_body", "error_of", "error_response", "json_response", "message_of"]

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


def error_of(error: KairosError) -> Json:
    """The body of an error of ours. What it says is about this request alone."""
    return error_body(
        error.code,
        message_of(error),
        field=error.facts.get("field"),
        row=error.facts.get("row"),
        accepted=error.accepted,
        hint=error.hint,
    )


def message_of(error: KairosError) -> str:
    """What failed and what was given, in a sentence or two."""
    if error.given is None:
        return error.what
    given = error.given if isinstance(error.given, str) else repr(error.given)
    return f"{error.what} Given: {given}."


def error_response(error: KairosError) -> Response:
    """An error of ours as an answer."""
    headers = {"retry-after": "1"} if error.http_status == 503 else None
    return json_response(error_of(error), status=error.http_status, headers=headers)


def json_response(body: Json, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(_ENCODER.encode(body), status_code=status, headers=headers, media_type="application/json")
