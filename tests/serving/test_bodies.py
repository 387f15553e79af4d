"""Codings of bodies: gzip and zstd in and out, and the same limits whatever was sent."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from backports import zstd
from starlette.requests import Request
from starlette.types import Message, Scope

from kairos.serving.bodies import PIECE_BYTES, respond
from kairos.serving.body import LARGEST_BODY_BYTES
from kairos.serving.rows import Written
from tests.serving.toys import Registry, Served, adds, route, serving

ROW = json.dumps({"temperature": 20.5}).encode()
ZIPPED = gzip.compress(ROW, mtime=0)
GZIP = {"content-encoding": "gzip"}
PATHS = ["/predict/demand", "/v2/models/demand/infer", "/invocations"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one model."""
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path_factory.mktemp("log")) as served:
        yield served


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", ZIPPED),
        ("x-gzip", ZIPPED),
        ("deflate", zlib.compress(ROW)),
        ("zstd", zstd.compress(ROW)),
        ("identity", ROW),
    ],
    ids=["gzip", "x-gzip", "deflate", "zstd", "identity"],
)
def test_a_folded_request_is_as_good_as_another(served: Served, coding: str, body: bytes) -> None:
    """In any coding that is read."""
    response = served.client.post("/predict/demand", content=body, headers={"content-encoding": coding})
    assert response.json()["version"] == 1


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br, gzip;q=0.5", "gzip"),
        ("gzip, zstd", "zstd"),
        ("gzip, zstd;q=0.9", "gzip"),
        ("GZIP;Q=1.0", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=nan", None),
        ("gzip;level=9", None),
        ("identity", None),
        ("", None),
    ],
)
def test_a_long_answer_is_folded_as_the_client_likes_it(served: Served, accepted: str, coding: str | None) -> None:
    """A short one never is, and nobody gets what she does not take."""
    rows = json.dumps([{"temperature": 1.0}] * 50).encode()
    response = served.client.post("/predict/demand", content=rows, headers={"accept-encoding": accepted})
    assert (response.headers.get("content-encoding"), response.headers["vary"]) == (coding, "accept-encoding")
    if coding != "zstd":  # which the client of these tests does not unfold
        assert len(response.json()["predictions"]) == 50
    short = served.client.post("/predict/demand", content=ROW, headers={"accept-encoding": accepted})
    assert not {"content-encoding", "vary"} & short.headers.keys()


async def pieces_of(body: bytes, accepted: str) -> tuple[dict[str, str], list[bytes]]:
    """Headers and pieces of an answer."""
    scope: Scope = {"type": "http", "method": "POST", "headers": [(b"accept-encoding", accepted.encode())]}
    response = respond(Written(headers={"content-type": "text/plain"}, body=body), Request(scope))
    sent: list[bytes] = []
    headers: dict[str, str] = {}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers.update({name.decode(): value.decode() for name, value in message["headers"]})
        else:
            sent.append(message["body"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    await response(scope, receive, send)
    return headers, sent


@pytest.mark.parametrize(
    ("accepted", "open_"),
    [("identity", bytes), ("gzip", gzip.decompress), ("zstd", zstd.decompress)],
    ids=["identity", "gzip", "zstd"],
)
def test_a_very_long_answer_leaves_in_pieces(accepted: str, open_: Callable[[bytes], bytes]) -> None:
    """Together they are the answer; its length is told where it is known."""
    body = b"".join(str(n).encode() for n in range(200_000))
    headers, sent = asyncio.run(pieces_of(body, accepted))
    assert open_(b"".join(sent)) == body
    assert len(sent) > 5
    assert max(map(len, sent)) <= 2 * PIECE_BYTES
    assert headers.get("content-length") == (str(len(body)) if accepted == "identity" else None)


def test_a_body_that_comes_too_slowly_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client cannot hold a place for ever by sending a byte now and then."""
    monkeypatch.setattr(served.client.app.state.patience, "_longest_s", 0.2)

    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    for path in PATHS:
        response = served.client.post(path, content=drip())
        assert (response.status_code, "too_slow" in response.text or "too long" in response.text) == (408, True)


def test_a_window_wider_than_https_is_refused(served: Served) -> None:
    """What would make the reader keep more than 8 MiB at hand is refused before it does."""
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    pack = zstd.ZstdCompressor(options=options)
    body = pack.compress(ROW) + pack.flush()
    response = served.client.post("/predict/demand", content=body, headers={"content-encoding": "zstd"})
    assert response.status_code == 400


@pytest.mark.parametrize("path", PATHS)
def test_a_bomb_is_refused_and_never_unfolded(served: Served, path: str) -> None:
    """A million to one: what unfolds beyond the limit is too large, in every protocol."""
    for coding, pack in (("gzip", zlib.compressobj(9, wbits=31)), ("zstd", zstd.ZstdCompressor())):
        bomb = b"".join([*(pack.compress(bytes(1 << 20)) for _ in range(200)), pack.flush()])
        assert len(bomb) < LARGEST_BODY_BYTES < 200 << 20
        assert served.client.post(path, content=bomb, headers={"content-encoding": coding}).status_code == 413


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [ROW, ZIPPED[:-3], ZIPPED * 2, b""], ids=["plain", "cut", "twice", "nothing"])
def test_what_is_not_gzip_is_refused(served: Served, path: str, body: bytes) -> None:
    """Cut off, doubled, or something else."""
    assert served.client.post(path, content=body, headers=GZIP).status_code == 400
    assert served.client.post(path, content=body, headers={"content-encoding": "zstd"}).status_code == 400


@pytest.mark.parametrize("path", PATHS)
def test_another_coding_is_415(served: Served, path: str) -> None:
    """It says which is read."""
    response = served.client.post(path, content=ROW, headers={"content-encoding": "br"})
    assert response.status_code == 415
    assert "gzip" in response.text
