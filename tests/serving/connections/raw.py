"""Clients that hold their socket in their own hands, to be rude with."""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset

from tests.serving.running import Toy

ROW = b'{"temperature": 0.5}'
ROWS = json.dumps([{"temperature": float(n)} for n in range(1_000)]).encode()
"""Whose answer is larger than what a client lets in before it reads."""

Fields = Sequence[tuple[str, str]]


def plug(toy: Toy, *, receive_bytes: int | None = None) -> socket.socket:
    """A connection to the server."""
    made = socket.socket()
    if receive_bytes is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.settimeout(20)
    address = urlsplit(toy.url)
    made.connect((address.hostname, address.port))
    return made


def rest(client: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    found = b""
    try:
        while data := client.recv(1 << 16):
            found += data
    except ConnectionResetError:
        pass
    return found


def post(path: str, body: bytes, *fields: str) -> bytes:
    """A request of HTTP/1.1."""
    head = [f"POST {path} HTTP/1.1", "host: toy", f"content-length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body


def frame(kind: int, *, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2, as RFC 9113 (section 4.1) has it."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def frames(client: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Kind, stream and payload of all frames that come until the server ends the connection."""
    with client.makefile("rb") as stream:
        while len(head := stream.read(9)) == 9:
            yield head[3], int.from_bytes(head[5:], "big"), stream.read(int.from_bytes(head[:3], "big"))


class Speaker:
    """Speaks HTTP/2 over a socket, as well or as badly as it is told."""

    def __init__(self, toy: Toy) -> None:
        self.socket = plug(toy)
        config = H2Configuration(client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2 = H2Connection(config)
        self.h2.initiate_connection()
        self._said = deque[Event]()
        self.flush()

    def flush(self) -> None:
        """Sends what is ready."""
        self.socket.sendall(self.h2.data_to_send())

    def open(
        self, path: str = "/predict/demand", *, method: str = "POST", fields: Fields = (), is_whole: bool = False
    ) -> int:
        """Sends the head of a request."""
        number = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "toy"), *fields]
        self.h2.send_headers(number, head, end_stream=is_whole)
        self.flush()
        return number

    def ask(self, path: str, body: bytes | None = None) -> int:
        """Sends a request that fits into the window."""
        number = self.open(path, method="GET" if body is None else "POST", is_whole=body is None)
        if body is not None:
            self.h2.send_data(number, body, end_stream=True)
            self.flush()
        return number

    def events(self) -> Iterator[Event]:
        """What the server says, until it ends the connection; what it may send is never renewed."""
        try:
            while True:
                while self._said:
                    yield self._said.popleft()
                if not (data := self.socket.recv(1 << 16)):
                    return
                self._said.extend(self.h2.receive_data(data))
                with suppress(ConnectionResetError, BrokenPipeError):
                    self.flush()
        except (ConnectionResetError, BrokenPipeError):
            return

    def until(self, number: int) -> tuple[int, bytes]:
        """The status and the body of an answer; a stream that is reset has its error's code and no body."""
        status, body = 0, b""
        for event in self.events():
            if isinstance(event, ResponseReceived) and event.stream_id == number:
                status = int(dict(event.headers)[b":status"])
            elif isinstance(event, DataReceived) and event.stream_id == number:
                body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, number)
            elif isinstance(event, StreamEnded) and event.stream_id == number:
                return status, body
            elif isinstance(event, StreamReset) and event.stream_id == number:
                return int(event.error_code), b""
        raise ConnectionError("the server ended the connection")

    def goodbye(self) -> int | None:
        """Why the server ended the connection, as a code of HTTP/2; ``None``: it did not say."""
        said = [int(event.error_code or 0) for event in self.events() if isinstance(event, ConnectionTerminated)]
        return said[-1] if said else None


@contextmanager
def speaking(toy: Toy) -> Iterator[Speaker]:
    """One connection."""
    made = Speaker(toy)
    with made.socket:
        yield made
