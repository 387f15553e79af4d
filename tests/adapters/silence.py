"""A server of HTTP that stops in the middle, in one of several ways, and says no more."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["Stalling", "stalling"]


@dataclass
class Stalling:
    """What the server has, and how often it is still to stop."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """By path; what was put there, too."""
    stops: int = 1_000
    """So many bodies are not sent or not read to their end."""
    trickles: bool = False
    """Whether a byte comes now and then."""
    asked: list[str] = field(default_factory=list)
    met: threading.Event = field(default_factory=threading.Event)
    """It has stopped once."""
    over: threading.Event = field(default_factory=threading.Event)

    def serve(self, link: socket.socket) -> None:
        """One connection."""
        with link, link.makefile("rb") as sent, suppress(OSError):
            while head := sent.readline():
                method, path, _ = head.decode().split(" ", 2)
                headers = {}
                while line := sent.readline().strip():
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                self.asked.append(method)
                size = int(headers.get("content-length", 0))
                if method in ("PUT", "POST"):
                    if self._stops():
                        self.over.wait()
                        return
                    self.files[path] = sent.read(size) if size else _chunks(sent)
                    link.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                    continue
                body = self.files.get(path)
                status = "404 Not Found" if body is None else "200 OK"
                link.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body or b'')}\r\n\r\n".encode())
                if method == "GET" and body:
                    self._give(link, body)

    def _give(self, link: socket.socket, body: bytes) -> None:
        if self._stops():
            link.sendall(body[:10])
            for at in range(10, len(body)):
                if self.over.wait(0.02 if self.trickles else None):
                    return
                link.sendall(body[at : at + 1])
        link.sendall(body)

    def _stops(self) -> bool:
        self.stops -= 1
        if self.stops >= 0:
            self.met.set()
        return self.stops >= 0


def _chunks(sent: object) -> bytes:
    found = b""
    while size := int(sent.readline(), 16):  # type: ignore[attr-defined]
        found += sent.read(size)  # type: ignore[attr-defined]
        sent.readline()  # type: ignore[attr-defined]
    sent.readline()  # type: ignore[attr-defined]
    return found


@contextmanager
def stalling() -> Iterator[Stalling]:
    """The server on a free port, until the block ends."""
    made = Stalling()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def accept() -> None:
            while not made.over.is_set():
                with suppress(OSError):
                    link, _ = listener.accept()
                    threading.Thread(target=made.serve, args=(link,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield made
        finally:
            made.over.set()
            time.sleep(0.05)
            listener.shutdown(socket.SHUT_RDWR)
