"""Bodies of requests and answers: limits that hold whatever the coding is, gzip in and out, deflate in."""

from __future__ import annotations

import gzip
import zlib

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kairos.serving.body import LARGEST_BODY_BYTES
from kairos.serving.rows import Written

__all__ = ["MOST_UNREAD_BYTES", "read_body", "respond", "unzip"]

MOST_UNREAD_BYTES = 64 << 20
"""Bytes of a request after which a client that sends too much is cut off."""

SMALLEST_ZIPPED_BYTES = 1_000
"""Answers below this are sent as they are: they fit into one packet."""

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""What zlib calls the codings that are read; HTTP's deflate has zlib's own head."""


async def read_body(request: Request) -> bytes:
    """The bytes of a request without its coding, unless there are too many.

    What is too large is read on for a while and forgotten: a client that is cut off in the middle of sending never
    reads why.

    Raises:
        HTTPException: 413 what came, or what it would unfold to, is too large; 415 a coding that is not read; 400 it is
            not in the coding that it says.
    """
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MOST_UNREAD_BYTES:
            break
        if size <= LARGEST_BODY_BYTES:
            chunks.append(chunk)
        else:
            chunks.clear()
    if size > LARGEST_BODY_BYTES:
        raise HTTPException(413)
    body = b"".join(chunks)
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding in _WINDOWS:
        return unzip(body, _WINDOWS[coding])
    if coding not in ("", "identity"):
        raise HTTPException(415)
    return body


def unzip(body: bytes, window: int) -> bytes:
    """Unfolds gzip or deflate up to the limit, and never further: a bomb takes no more memory than an honest request.

    Raises:
        HTTPException: 413 there is more than the limit; 400 it is not one whole stream.
    """
    unfold = zlib.decompressobj(window)
    try:
        found = unfold.decompress(body, LARGEST_BODY_BYTES + 1)
    except zlib.error:
        raise HTTPException(400, "The request is not in the coding that its content-encoding says.") from None
    if len(found) > LARGEST_BODY_BYTES:
        raise HTTPException(413)
    if not unfold.eof or unfold.unused_data:
        raise HTTPException(400, "The request is not one whole compressed stream.")
    return found


def respond(written: Written, request: Request) -> Response:
    """An answer over HTTP; in gzip if it is long and the client takes that."""
    headers = dict(written.headers)
    body = written.body
    if len(body) >= SMALLEST_ZIPPED_BYTES:
        headers["vary"] = "accept-encoding"
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers["content-encoding"] = "gzip"
    return Response(body, status_code=written.status, headers=headers)


def _takes_gzip(accepted: str) -> bool:
    for each in accepted.lower().split(","):
        coding, _, quality = each.partition(";")
        if coding.strip() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
