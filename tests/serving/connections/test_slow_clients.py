"""Clients that take their time are cut off, and there are never too many; over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from h2.errors import ErrorCodes

from kairos.errors import UsageError
from kairos.serving.connections.limits import LARGEST_HEAD_BYTES, MOST_FIELDS, MOST_PIPELINED, USUAL, Limits
from kairos.serving.metrics import CUT_OFF_REASONS
from tests.serving.connections.conftest import LIMITS
from tests.serving.connections.raw import ROW, ROWS, frame, plug, post, rest, speaking
from tests.serving.running import Toy

LONGEST_S = 4.0
"""By then every limit of ``LIMITS`` is over, on a busy machine as well."""


def cut_off(client: socket.socket, *, drip: bytes = b"") -> bytes:
    """What came until the server ended the connection; while it does not, ``drip`` is sent again and again."""
    found, until_s = b"", time.monotonic() + LONGEST_S + LIMITS["body_s"] + 5.0
    client.settimeout(0.05)
    while time.monotonic() < until_s:
        with suppress(TimeoutError):
            try:
                if not (data := client.recv(1 << 16)):
                    return found
            except (ConnectionResetError, BrokenPipeError):
                return found
            found += data
        with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
            client.sendall(drip)
    raise AssertionError("it was not cut off")


def refused(answer: bytes) -> tuple[int, str]:
    """Status and code of an error in the one shape."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def test_who_says_nothing_is_cut_off(brisk: Toy) -> None:
    """Without a word, as there was none."""
    with plug(brisk) as client:
        assert cut_off(client) == b""


@pytest.mark.parametrize(
    ("first", "drip"),
    [(b"GET /", b"x"), (b"GET / HTTP/1.1\r\nhost: x\r\n", b"x: y\r\n"), (b"\r\n", b"\r\n"), (b"POS", b"")],
)
def test_a_head_that_trickles_is_cut_off(brisk: Toy, first: bytes, drip: bytes) -> None:
    """Bytes that come now and then win no time."""
    with plug(brisk) as client:
        client.sendall(first)
        assert refused(cut_off(client, drip=drip)) == (408, "too_slow")


def test_a_second_head_that_trickles_is_cut_off(brisk: Toy) -> None:
    """A first request that is answered is no excuse."""
    with plug(brisk) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\nGET /")
        answers = cut_off(client, drip=b"x")
        assert answers.count(b"HTTP/1.1 200") == 1
        assert answers.count(b"HTTP/1.1 408") == 1


@pytest.mark.parametrize("fields", ["content-length: 99", "transfer-encoding: chunked"])
@pytest.mark.parametrize("path", ["/predict/demand", "/labels", "/health/live", "/nowhere"])
def test_a_body_that_trickles_is_cut_off(brisk: Toy, path: str, fields: str) -> None:
    """With 408 where it is waited for; where the answer needs no body the connection ends without it."""
    with plug(brisk) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\n{fields}\r\n\r\n".encode())
        answer = cut_off(client, drip=b"" if "length" in fields else b"1\r\nx\r\n")
        assert int(answer.split()[1]) == {"/health/live": 405, "/nowhere": 404}.get(path, 408)


def test_who_asks_no_more_is_let_go(brisk: Toy) -> None:
    """A connection that was answered stays open for a while, and no longer; empty lines are no request."""
    for drip in (b"", b"\r\n"):
        with plug(brisk) as client:
            client.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
            assert cut_off(client, drip=drip).startswith(b"HTTP/1.1 200")


def test_who_does_not_read_is_cut_off(brisk: Toy) -> None:
    """Answers wait for a client, up to a point; then the rest is thrown away."""
    count = 100
    with plug(brisk, receive_bytes=4_096) as client:
        client.settimeout(0.5)
        with suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            client.sendall(post("/predict/demand", ROWS) * count)
        time.sleep(2.5)
        client.settimeout(20)
        assert rest(client).count(b"HTTP/1.1 200") < count
    assert brisk.get("/health/live") == {"live": True}


def test_over_http2_what_trickles_is_cut_off(brisk: Toy) -> None:
    """A body by a 408, an answer that is not taken by the end of its stream; others on the connection go on."""
    with speaking(brisk) as client:
        status, answer = client.until(client.open())
        assert (status, json.loads(answer)["error"]["code"]) == (408, "too_slow")
        client.socket.sendall(frame(4, payload=b"\x00\x04" + bytes(4)))  # no byte of an answer is let in
        stuck = client.ask("/predict/demand", ROW)
        assert client.until(stuck) == (int(ErrorCodes.ENHANCE_YOUR_CALM), b"")


@pytest.mark.parametrize("drip", [b"", frame(6, payload=b"12345678")], ids=["nothing", "pings"])
@pytest.mark.parametrize("asks", [False, True])
def test_over_http2_who_asks_nothing_is_let_go(brisk: Toy, drip: bytes, asks: bool) -> None:
    """With a goodbye; pings win no time."""
    with speaking(brisk) as client:
        if asks:
            assert client.until(client.ask("/health/live"))[0] == 200
        said = cut_off(client.socket, drip=drip)
        assert frame(7, payload=int(asks).to_bytes(4, "big") + bytes(4))[:13] in said


def test_over_http2_a_beginning_that_trickles_is_cut_off(brisk: Toy) -> None:
    """Half of what every connection begins with is nothing yet."""
    with plug(brisk) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n")
        assert cut_off(client) == b""


def test_there_are_never_too_many(brisk: Toy) -> None:
    """Past the limit a client is told so, far past it nothing; who is in is answered, and room is made again."""
    most, open_ = int(LIMITS["connections"]), Limits(connections=int(LIMITS["connections"])).most_open
    ask = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    deadline_s = time.monotonic() + LONGEST_S
    while True:  # until earlier ones are gone, and none that is refused goes before the last ones come
        with ExitStack() as stack:
            clients = [stack.enter_context(closing(plug(brisk))) for _ in range(open_ + 3)]
            answers = [talk(client, ask) for client in clients]
        is_alone = answers[0].startswith(b"HTTP/1.1 200") and not any(answers[open_:])
        if is_alone or time.monotonic() > deadline_s:
            break
    assert {answer.split()[1] for answer in answers[:most]} == {b"200"}
    assert {refused(answer) for answer in answers[most:open_]} == {(503, "overloaded")}
    assert all(b"retry-after: 1" in answer for answer in answers[most:open_])
    assert set(answers[open_:]) == {b""}
    while not talk_once(brisk, ask).startswith(b"HTTP/1.1 200"):
        assert time.monotonic() < deadline_s + LONGEST_S


def talk(client: socket.socket, ask: bytes) -> bytes:
    """One answer; nothing if the server does not want this client."""
    found = b""
    try:
        client.sendall(ask)
        while not found.endswith(b"}") and (data := client.recv(1 << 16)):
            found += data
        return found
    except (ConnectionResetError, BrokenPipeError):
        return b""


def talk_once(toy: Toy, ask: bytes) -> bytes:
    """One answer, over a connection of its own."""
    with plug(toy) as client:
        return talk(client, ask)


@pytest.mark.parametrize(("hard", "soft", "says"), [(4_000, 1_506, False), (800, 800, True)])
def test_connections_have_files_to_be_had_with(tmp_path: Path, hard: int, soft: int, says: bool) -> None:
    """The usual 1,024 open files of a process would be fewer than its connections; what the system refuses is told."""
    code = (
        "import resource, sys; from kairos.serving.connections.keeper import make_room;"
        "from kairos.serving.connections.limits import USUAL;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (500, {hard})); make_room(USUAL);"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == soft
    assert ("server.limits.connections to 435" in done.stderr) is says


ENDLESS: dict[str, tuple[bytes, bytes, int]] = {
    "a path": (b"GET /", b"x" * 1_000, 431),
    "a field": (b"GET / HTTP/1.1\r\nx: ", b"y" * 1_000, 431),
    "many fields": (b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 10, 431),
    "fields after the body": (
        b"POST /predict/demand HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        b"x: y\r\n" * 10,
        431,
    ),
    "a field after the body": (
        b"POST /predict/demand HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
        b"y" * 10_000,
        400,
    ),
    "an extension": (
        b"POST /predict/demand HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;",
        b"y" * 10_000,
        400,
    ),
}


@pytest.mark.parametrize("piece_bytes", [3_000, 1 << 20])
@pytest.mark.parametrize("name", ENDLESS)
def test_what_does_not_end_is_cut_off(toy: Toy, name: str, piece_bytes: int) -> None:
    """Long before a limit of time, whatever the size of pieces that it comes in."""
    first, again, status = ENDLESS[name]
    start_s = time.monotonic()
    with plug(toy) as client:
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(first)
            for _ in range((8 << 20) // piece_bytes):
                client.sendall(again * max(piece_bytes // len(again), 1))
        answer = rest(client)
    assert time.monotonic() - start_s < USUAL.head_s / 2
    assert not answer or int(answer.split()[1]) == status  # what was sent after the end may sweep the word away
    assert toy.get("/health/live") == {"live": True}


def test_what_a_head_may_have_it_may_have(toy: Toy) -> None:
    """Close to the limits a request is answered."""
    fields = [*(f"x{n}: y" for n in range(MOST_FIELDS - 10)), "z: " + "z" * (LARGEST_HEAD_BYTES - 20_000)]
    with closing(toy.connect()) as client:
        client.request("POST", "/predict/demand", ROW, dict(field.split(": ") for field in fields))
        assert client.getresponse().status == 200


@pytest.mark.parametrize(("count", "is_kept"), [(MOST_PIPELINED, True), (100 * MOST_PIPELINED, False)])
def test_requests_may_wait_in_a_row_but_not_without_end(toy: Toy, count: int, is_kept: bool) -> None:
    """HTTP/1.1 lets a client send the next request before it has the answer."""
    ask = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    with plug(toy) as client:
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(ask * (count - 1) + ask.replace(b"host", b"connection: close\r\nhost"))
        assert (rest(client).count(b"HTTP/1.1 200") == count) is is_kept


def test_a_request_that_cannot_be_read_waits_for_the_answers_before_it(toy: Toy) -> None:
    """They are given, and then the connection ends."""
    with plug(toy) as client:
        client.sendall(post("/predict/demand", ROW) + b"nonsense\r\n\r\n")
        answers = rest(client)
    assert answers.count(b"HTTP/1.1 200") == 1
    assert b"1000.5" in answers


def cut_off_count(toy: Toy, reason: str) -> float:
    """How often clients were cut off for this reason."""
    found = re.search(rf'kairos_clients_cut_off_total{{reason="{reason}"}} (\S+)', toy.get("/metrics"))
    assert found is not None
    return float(found[1])


def test_who_is_cut_off_is_counted(brisk: Toy) -> None:
    """By reason, each once."""
    before = {reason: cut_off_count(brisk, reason) for reason in CUT_OFF_REASONS}
    with plug(brisk) as slow_head, plug(brisk) as slow_body, plug(brisk) as malformed, speaking(brisk) as flood:
        slow_head.sendall(b"GET /")
        slow_body.sendall(b"POST /predict/demand HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
        malformed.sendall(b"nonsense\r\n\r\n")
        flood.socket.sendall(frame(6, payload=b"12345678") * 3_000)
        for client in (slow_head, slow_body, malformed, flood.socket):
            cut_off(client)
    found = {reason: cut_off_count(brisk, reason) - count for reason, count in before.items()}
    assert found == {"slow": 2, "malformed": 1, "flood": 1, "crowded": 0}


@pytest.mark.parametrize("name", ["head_s", "body_s", "answer_s", "idle_s", "connections"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    """It would let nobody in."""
    with pytest.raises(UsageError, match=f"'{name}' cannot be used"):
        Limits(**{name: 0})


def test_a_patient_server_keeps_a_connection(toy: Toy) -> None:
    """By default a second comes and goes between two requests without harm."""
    with closing(toy.connect()) as client:
        for _ in range(2):
            client.request("GET", "/health/live")
            answer: http.client.HTTPResponse = client.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"live":true}')
            time.sleep(1.0)
