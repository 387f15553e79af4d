"""A small HTTP server with data behind it, which can be told to misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

__all__ = ["Interface", "serving"]


@dataclass
class Interface:
    """What the server has, and how it behaves."""

    url: str = ""
    rows: list[dict[str, object]] = field(default_factory=list)
    """Of ``/rows``, which are told by the param ``from`` and ``to``, two a page."""
    files: dict[str, bytes] = field(default_factory=dict)
    """By path."""
    troubles: list[int] = field(default_factory=list)
    """Statuses of the next answers; 0 is an answer that does not come in time."""
    retry_after: str = "0"
    """What such an answer says of when to come again, in seconds."""
    token: str | None = None
    version: str = "1"
    asked: list[str] = field(default_factory=list)
    """Paths, in their order."""
    asked_s: list[float] = field(default_factory=list)
    """When, by a clock that only goes forward."""

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one answer."""
        self.asked.append(path)
        self.asked_s.append(time.monotonic())
        if self.troubles:
            status = self.troubles.pop(0)
            if status:
                return status, {"Retry-After": self.retry_after}, b"trouble"
            time.sleep(1.5)
        if self.token is not None and headers.get("Authorization") != f"Bearer {self.token}":
            return 401, {}, f"no such token: {headers.get('Authorization')}".encode()
        parts = urlsplit(path)
        if parts.path in self.files:
            body = self.files[parts.path]
            return 200, {"ETag": f'"{hash(body)}"'}, body
        if parts.path != "/rows":
            return 404, {}, b""
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        found = [row for row in self.rows if query["from"] <= str(row["at"]) < query["to"]]
        at = int(query.get("page", "0"))
        page, rest = found[at : at + 2], found[at + 2 :]
        told = {"data": {"items": page}, "next": at + 2 if rest else None, "version": self.version}
        link = f'<{self.url}/rows?from={query["from"]}&to={query["to"]}&page={at + 2}>; rel="next"'
        return 200, {"Link": link} if rest else {}, json.dumps(told).encode()


@contextmanager
def serving() -> Iterator[Interface]:
    """The server on a free port, until the block ends."""
    interface = Interface()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(has_body=True)

        def do_HEAD(self) -> None:
            self._answer(has_body=False)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

        def _answer(self, *, has_body: bool) -> None:
            status, headers, body = interface.answer(self.path, dict(self.headers))
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body if has_body else b"")
            except OSError:  # the client had enough
                self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        interface.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield interface
        server.shutdown()
