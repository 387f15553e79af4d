"""Bytes that are made to confuse: no 500, no hang, no growth, and the next request is answered as ever."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from tests.serving.connections.raw import ROW, frame, plug, post, rest
from tests.serving.running import Toy

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
CHUNKED = "transfer-encoding: chunked"

TWO_WAYS: dict[str, tuple[Sequence[str], bytes]] = {
    "a length and pieces": (["content-length: 4", CHUNKED], b"0\r\n\r\n"),
    "pieces and a length": ([CHUNKED, "content-length: 54"], b"0\r\n\r\n"),
    "two lengths": (["content-length: 0", "content-length: 54"], b""),
    "a list of lengths": (["content-length: 0, 54"], b""),
    "a length with a sign": (["content-length: +0"], b""),
    "a negative length": (["content-length: -1"], b""),
    "a length beyond all": (["content-length: 18446744073709551616"], b""),
    "no length": (["content-length: "], b""),
    "a length in another base": (["content-length: 0x5"], b""),
    "two codings": ([CHUNKED, "transfer-encoding: identity"], b"0\r\n\r\n"),
    "pieces that are not last": (["transfer-encoding: chunked, identity"], b"0\r\n\r\n"),
    "almost pieces": (["transfer-encoding: xchunked"], b"0\r\n\r\n"),
    "pieces behind an odd space": (["transfer-encoding: \x0bchunked"], b"0\r\n\r\n"),
    "a space before the colon": (["content-length : 0"], b""),
    "a folded field": (["x: y", " content-length: 54"], b""),
    "a lonely return": (["x: y\rcontent-length: 54"], b""),
    "a zero byte": (["x: a\0b"], b""),
    "a piece beyond all": ([CHUNKED], b"FFFFFFFFFFFFFFFFF\r\n"),
    "a negative piece": ([CHUNKED], b"-1\r\n"),
    "a piece in another base": ([CHUNKED], b"0x0\r\n\r\n"),
    "a piece that ends in half": ([CHUNKED], b"0\n\n"),
    "a piece with more than it says": ([CHUNKED], b"2\r\n{}XX0\r\n\r\n"),
    "a length after the body": ([CHUNKED], b"0\r\ncontent-length: 54\r\n\r\n"),
}
"""What two servers in a row may read in two ways: the body of a request to one is the next request to the other."""


@pytest.mark.parametrize("name", TWO_WAYS)
def test_a_request_that_can_be_read_in_two_ways_ends_the_connection(toy: Toy, name: str) -> None:
    """With one 400, and what follows is no request."""
    fields, body = TWO_WAYS[name]
    head = "\r\n".join(["POST /labels HTTP/1.1", "host: x", *fields, "", ""]).encode("latin-1")
    with plug(toy) as client:
        client.sendall(head + body + SMUGGLED)
        answers = rest(client)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"400"]
    assert b'"code":"bad_request"' in answers


def speaks(*asks: tuple[str, bytes]) -> bytes:
    """What a client of HTTP/2 sends that asks all of this at once."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    for path, body in asks:
        number = client.get_next_available_stream_id()
        client.send_headers(number, [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x")])
        client.send_data(number, body, end_stream=True)
    client.ping(b"12345678")
    return client.data_to_send()


SEEDS = (
    post("/predict/demand", ROW),
    post("/predict/demand", ROW) * 3,
    post("/v2/models/demand/infer", b'{"inputs":[]}', "inference-header-content-length: 13"),
    b"GET /models/demand?x=%41 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\r\n",
    b"POST /labels HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{}\n\r\n0\r\nx: y\r\n\r\n",
    b"POST /predict/demand HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\n{}",
    speaks(("/predict/demand", ROW)),
    speaks(("/predict/demand", ROW), ("/labels", b"{}"), ("/nowhere", b"x" * 500)),
    speaks() + frame(8, payload=b"\x7f\xff\xff\xff") + frame(2, stream=3, payload=bytes(5)) + frame(5, stream=1),
)
WORDS = (
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff" * 9,
    b"HTTP/1.0",
    b"content-length: 9\r\n",
    b"transfer-encoding: chunked\r\n",
    b"connection: upgrade\r\nupgrade: h2c\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    *(frame(kind, flags=flags, stream=stream) for kind in range(11) for flags in (0, 5, 255) for stream in (0, 1)),
)


def spoilt(dice: random.Random) -> bytes:
    """A conversation that was right once."""
    data = bytearray(dice.choice(SEEDS))
    for _ in range(dice.randint(0, 4)):
        at, end = dice.randrange(len(data) + 1), dice.randrange(len(data) + 1)
        match dice.randrange(6):
            case 0:
                data[at:at] = dice.choice(WORDS)
            case 1:
                data[at : at + 1] = bytes([dice.randrange(256)])
            case 2:
                del data[at : at + dice.randint(1, 30)]
            case 3:
                data[at:at] = data[min(at, end) : max(at, end)]
            case 4:
                del data[at:]
            case 5:
                data += dice.choice(SEEDS)
    return bytes(data)


def memory_kib(toy: Toy) -> int:
    """What the server's process holds."""
    status = Path(f"/proc/{toy.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


def say(toy: Toy, dice: random.Random, data: bytes) -> bytes:
    """Sends it, in one piece or several, and hangs up or waits for the server to do so."""
    with plug(toy) as client:
        with suppress(BrokenPipeError, ConnectionResetError):
            cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice((0, 0, 1, 3))))
            for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                client.sendall(data[start:end])
        if dice.random() < 0.9:
            with suppress(OSError):
                client.shutdown(socket.SHUT_WR)
        return rest(client)  # fails where the server neither answers nor hangs up


def test_spoilt_conversations_do_no_harm(brisk: Toy) -> None:
    """Over HTTP/1.1 and HTTP/2, some hundreds of them."""
    dice = random.Random(4)
    for _ in range(60):  # until all that is kept once is there
        say(brisk, dice, spoilt(dice))
    before_kib = memory_kib(brisk)
    for number in range(300):
        data = spoilt(dice)
        assert not re.search(rb"HTTP/1\.1 5\d\d", say(brisk, dice, data)), data
        if number % 50 == 0:
            answer = httpx.post(brisk.url + "/predict/demand", content=ROW)
            assert answer.json()["prediction"] == 1000.5
    assert memory_kib(brisk) - before_kib < 20 << 10
    assert (brisk.folder / "stderr").read_text() == "", "no fault of ours, and no line for each mistake of theirs"
