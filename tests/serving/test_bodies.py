"""Codings of bodies: gzip in and out, and the same limits whatever was sent."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator

import pytest

from kairos.serving.body import LARGEST_BODY_BYTES
from tests.serving.toys import Registry, Served, adds, route, serving

ROW = json.dumps({"temperature": 20.5}).encode()
ZIPPED = gzip.compress(ROW)
GZIP = {"content-encoding": "gzip"}
PATHS = ["/predict/demand", "/v2/models/demand/infer", "/invocations"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one model."""
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path_factory.mktemp("log")) as served:
        yield served


def test_gzip_is_read(served: Served) -> None:
    """A compressed request is as good as another, deflate too."""
    deflate = {"content-encoding": "deflate"}
    assert served.client.post("/predict/demand", content=zlib.compress(ROW), headers=deflate).json()["version"] == 1
    assert served.client.post("/predict/demand", content=ZIPPED, headers=GZIP).json()["version"] == 1


def test_a_long_answer_is_zipped_for_who_takes_it(served: Served) -> None:
    """A short one never is, and nobody gets what she does not take."""
    rows = json.dumps([{"temperature": 1.0}] * 50).encode()
    for accepted, sent, is_zipped in (
        ("gzip", rows, True),
        ("br, gzip;q=0.5", rows, True),
        ("gzip;q=0", rows, False),
        ("identity", rows, False),
        ("gzip", ROW, False),
    ):
        response = served.client.post("/predict/demand", content=sent, headers={"accept-encoding": accepted})
        assert (response.headers.get("content-encoding") == "gzip") is is_zipped
        assert response.status_code == 200
        assert response.headers.get("vary") == (None if sent is ROW else "accept-encoding")
        response.json()


@pytest.mark.parametrize("path", PATHS)
def test_a_bomb_is_refused_and_never_unfolded(served: Served, path: str) -> None:
    """A million to one: what unfolds beyond the limit is too large, in every protocol."""
    pack = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(pack.compress(bytes(1 << 20)) for _ in range(200)), pack.flush()])
    assert len(bomb) < LARGEST_BODY_BYTES < 200 << 20
    assert served.client.post(path, content=bomb, headers=GZIP).status_code == 413


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [ROW, ZIPPED[:-3], ZIPPED * 2, b""], ids=["plain", "cut", "twice", "nothing"])
def test_what_is_not_gzip_is_refused(served: Served, path: str, body: bytes) -> None:
    """Cut off, doubled, or something else."""
    assert served.client.post(path, content=body, headers=GZIP).status_code == 400


@pytest.mark.parametrize("path", PATHS)
def test_another_coding_is_415(served: Served, path: str) -> None:
    """It says which is read."""
    response = served.client.post(path, content=ROW, headers={"content-encoding": "br"})
    assert response.status_code == 415
    assert "gzip" in response.text
