"""HTTP/2 on the server's port: the same answers, many at once, and an end to those who misuse it."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from h2.errors import ErrorCodes
from h2.events import StreamEnded, StreamReset
from hypothesis import given
from hypothesis import strategies as st

from kairos.serving.connections.frames import FrameScale
from kairos.serving.connections.limits import LARGEST_HEAD_BYTES, MOST_FIELDS, MOST_STREAMS
from tests.serving.connections.raw import ROW, ROWS, frame, frames, speaking
from tests.serving.crews import Crew
from tests.serving.running import Toy

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 0x1, 0x4
CALM, REFUSED = int(ErrorCodes.ENHANCE_YOUR_CALM), int(ErrorCodes.REFUSED_STREAM)


def is_well(toy: Toy) -> bool:
    """Whether a good request is answered."""
    return bool(httpx.post(toy.url + "/predict/demand", content=ROW).json()["prediction"] == 1000.5)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("option", "version"), [("--http1.1", "1.1"), ("--http2", "1.1"), ("--http2-prior-knowledge", "2")]
)
def test_curl_is_answered_in_the_protocol_that_it_begins_with(toy: Toy, option: str, version: str) -> None:
    """Prior knowledge is HTTP/2; a wish to change over, which HTTP/2 has given up, is answered in HTTP/1.1."""
    if "HTTP2" not in subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this curl does not speak HTTP/2")
    command = ["curl", "-s", option, "-w", "\n%{http_version} %{http_code}", "-d", ROW.decode()]
    told = subprocess.run([*command, toy.url + "/predict/demand"], capture_output=True, text=True, check=True).stdout
    answer, end = told.splitlines()
    assert (json.loads(answer)["prediction"], end) == (1000.5, f"{version} 200")


async def ask_at_once(url: str, count: int) -> list[httpx.Response]:
    """As many requests at once as are wished, over one connection."""
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(http1=False, http2=True, base_url=url, limits=limits, timeout=30) as client:
        asked = (client.post("/predict/demand", json={"temperature": float(n)}) for n in range(count))
        return await asyncio.gather(*asked)


def test_many_requests_share_a_connection(toy: Toy) -> None:
    """Each gets its own answer."""
    answers = asyncio.run(ask_at_once(toy.url, 3 * MOST_STREAMS))
    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    assert [answer.json()["prediction"] for answer in answers] == [1000.0 + n for n in range(3 * MOST_STREAMS)]


def test_a_slow_request_holds_up_no_other(start: Callable[..., Toy]) -> None:
    """What is quick is answered first, on the same connection."""
    toy = start()
    toy.get(f"/state?seq={toy.follow('8 - 0 -')}")
    with speaking(toy) as client:
        slow, quick = client.ask("/predict/demand", ROW), client.ask("/health/live")
        ended = (event.stream_id for event in client.events() if isinstance(event, StreamEnded))
        assert [next(ended), next(ended)] == [quick, slow]


def test_every_path_answers_as_over_http_1_1(toy: Toy) -> None:
    """Statuses, bodies and fields are the same; what is about the connection alone is left out."""
    wishes: list[tuple[str, str, Any]] = [
        ("GET", "/health/ready", None),
        ("GET", "/models/demand?x=%41", None),
        ("GET", "/nowhere", None),
        ("PUT", "/predict/demand", {}),
        ("POST", "/predict/demand", {"temperatur": 1}),
        ("POST", "/predict/demand", [1] * 600_000),
        ("HEAD", "/health/live", None),
    ]
    with httpx.Client(base_url=toy.url) as one, httpx.Client(base_url=toy.url, http1=False, http2=True) as two:
        for method, path, body in wishes:
            before, after = (client.request(method, path, json=body) for client in (one, two))
            assert (after.status_code, after.content) == (before.status_code, before.content), path
            told = {name: value for name, value in before.headers.items() if name not in ("date", "connection")}
            assert told == {name: value for name, value in after.headers.items() if name != "date"}, path


def test_long_bodies_go_both_ways(toy: Toy) -> None:
    """Longer than what may be on its way at once; compressed, too."""
    with httpx.Client(base_url=toy.url, http1=False, http2=True) as client:
        for coding in ("identity", "gzip"):
            headers = {"accept-encoding": coding}
            answer = client.post("/predict/demand", content=b" " * 900_000 + ROWS, headers=headers)
            assert [each["prediction"] for each in answer.json()["predictions"]] == [1000.0 + n for n in range(1_000)]


def test_requests_beyond_the_most_are_refused_unseen(toy: Toy) -> None:
    """A client that opens more than are let in, before it can know, may send those again; the others go on."""
    with speaking(toy) as client:
        opened = [client.open() for _ in range(MOST_STREAMS + 3)]
        gone = (event for event in client.events() if isinstance(event, StreamReset))
        refused = [next(gone) for _ in range(3)]
        assert [(each.stream_id, int(each.error_code)) for each in refused] == [(n, REFUSED) for n in opened[-3:]]
        client.h2.send_data(opened[0], ROW, end_stream=True)
        client.flush()
        status, answer = client.until(opened[0])
        assert (status, json.loads(answer)["prediction"]) == (200, 1000.5)


def test_a_head_that_is_too_large_is_refused(toy: Toy) -> None:
    """Too many fields are told; too many bytes end the connection."""
    with speaking(toy) as client:
        number = client.open("/health/live", method="GET", fields=[("x", "y")] * MOST_FIELDS, is_whole=True)
        status, answer = client.until(number)
        assert (status, json.loads(answer)["error"]["code"]) == (431, "large_head")
    for fields in ([("x", "y" * LARGEST_HEAD_BYTES)], [("x", "~" * 16_000)] * 5):
        with speaking(toy) as client:
            client.open(fields=fields)
            assert client.goodbye() == CALM
    assert is_well(toy)


FLOODS = {
    "pings": frame(PING, payload=b"12345678"),
    "settings": frame(SETTINGS, payload=b"\x00\x04\x00\x00\xff\xff"),
    "priorities": frame(PRIORITY, stream=1, payload=b"\x00\x00\x00\x00\x09"),
    "windows": frame(WINDOW, payload=b"\x00\x00\x00\x01"),
    "empty bodies": frame(DATA, stream=1),
    "heads without an end": frame(CONTINUATION, stream=1, payload=b"x" * 100),
    "unknown frames": frame(0xEE),
}
"""Frames that cost their sender little."""


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_the_connection(toy: Toy, name: str) -> None:
    """Frames that ask for nothing are taken for a while; then the client is told to calm down."""
    with speaking(toy) as client:
        if name == "heads without an end":
            client.socket.sendall(frame(HEADERS, stream=1))
        else:
            client.open()
        with suppress(BrokenPipeError, ConnectionResetError):
            client.socket.sendall(FLOODS[name] * 20_000)
        # h2 itself ends the last kind after 64 frames; what was sent after the end may sweep the word away
        assert client.goodbye() in (CALM, int(ErrorCodes.PROTOCOL_ERROR), None)
    assert is_well(toy)


def test_requests_that_are_taken_back_again_and_again_end_the_connection(toy: Toy) -> None:
    """Rapid reset: no more of them are worked on than a client may ask at once, and soon none."""
    before = toy.get("/metrics").count('status="200"')
    with speaking(toy) as client:
        head = client.h2.encoder.encode(
            [(":method", "GET"), (":path", "/metrics"), (":scheme", "http"), (":authority", "x")]
        )
        for number in range(1, 2_000, 2):
            opened = frame(HEADERS, flags=END_HEADERS | END_STREAM, stream=number, payload=head)
            try:
                client.socket.sendall(opened + frame(RESET, stream=number, payload=b"\x00\x00\x00\x08"))
            except (BrokenPipeError, ConnectionResetError):
                break
        assert client.goodbye() in (CALM, None)
    assert toy.get("/metrics").count('status="200"') == before
    assert is_well(toy)


def test_a_client_that_changes_its_mind_now_and_then_may_stay(toy: Toy) -> None:
    """One request of three is taken back, hundreds of times."""
    with speaking(toy) as client:
        for _ in range(300):
            client.h2.reset_stream(client.open())
            for _ in range(2):
                assert client.until(client.ask("/health/live"))[0] == 200


def test_a_frame_larger_than_allowed_is_not_waited_for(toy: Toy) -> None:
    """Its head is enough to end the connection."""
    with speaking(toy) as client:
        client.socket.sendall(b"\xff\xff\xff" + frame(DATA, stream=1)[3:])
        assert client.goodbye() == CALM


@pytest.mark.parametrize("size", [0, (4 << 30) - 1])
def test_a_table_of_any_size_may_be_offered(toy: Toy, size: int) -> None:
    """The server keeps to its own; heads of answers are read all the same."""
    with speaking(toy) as client:
        client.h2.decoder.max_allowed_table_size = size
        client.socket.sendall(frame(SETTINGS, payload=b"\x00\x01" + size.to_bytes(4, "big")))
        assert [client.until(client.ask("/health/live"))[0] for _ in range(20)] == [200] * 20


def test_told_to_stop_it_answers_what_came(start: Callable[..., Toy], tmp_path: Path) -> None:
    """Then it closes the connection, and the process ends in good order."""
    toy = start()
    toy.get(f"/state?seq={toy.follow('8 - 0 -')}")
    with speaking(toy) as client:
        asked = client.ask("/predict/demand", ROW)
        while not (tmp_path / "busy").exists():
            time.sleep(0.001)
        toy.process.send_signal(signal.SIGTERM)
        status, answer = client.until(asked)
        assert (status, json.loads(answer)["prediction"]) == (200, 8000.5)
        assert client.goodbye() == 0
    assert toy.process.wait(30) == 0
    assert (toy.folder / "stderr").read_text() == ""


def test_told_to_stop_it_tells_a_busy_client_what_it_still_answers(start: Callable[..., Toy]) -> None:
    """Where a connection is never idle, no more requests are taken after a moment; those that came go on."""
    toy = start()
    with speaking(toy) as client:
        client.open()
        assert client.until(client.ask("/health/live"))[0] == 200
        toy.process.send_signal(signal.SIGTERM)
        told = frames(client.socket)
        last = next(payload for kind, _, payload in told if kind == GOAWAY)
        assert last == (3).to_bytes(4, "big") + bytes(4)
        client.open()
        client.socket.sendall(frame(DATA, flags=END_STREAM, stream=1, payload=ROW))
        rest = list(told)
        assert b"".join(payload for kind, stream, payload in rest if (kind, stream) == (DATA, 1)).startswith(b'{"pred')
        assert [int.from_bytes(payload, "big") for kind, stream, payload in rest if kind == RESET] == [REFUSED]
    assert toy.process.wait(30) == 0


def test_every_worker_speaks_it(tmp_path: Path) -> None:
    """Whichever takes the connection."""
    crew = Crew(tmp_path, count=2)
    try:
        for _ in range(6):  # connections of their own, so that both workers are asked
            with httpx.Client(http1=False, http2=True, base_url=crew.url) as client:
                assert client.post("/predict/demand", content=ROW).json()["prediction"] == 1000.5
                assert client.get("/state?seq=1").json()["reached"]
    finally:
        crew.process.kill()
        crew.process.communicate()


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300)))
def test_frames_weigh_the_same_however_they_come(data: bytes, cuts: list[int]) -> None:
    """Cut anywhere, the same bytes have the same end."""
    whole = FrameScale(skip=3, now_s=0.0).weigh(data, 0.0)
    scale, edges = FrameScale(skip=3, now_s=0.0), [0, *sorted(cuts), len(data)]
    parts = (scale.weigh(data[start:end], 0.0) for start, end in pairwise(edges))
    assert next((part for part in parts if part is not None), None) == whole
