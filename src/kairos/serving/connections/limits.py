"""How much of the server one connection, and all of them together, may take."""

from __future__ import annotations

from dataclasses import dataclass

from kairos.errors import UsageError

__all__ = [
    "LARGEST_HEAD_BYTES",
    "MOST_FIELDS",
    "MOST_FRAMING_BYTES",
    "MOST_PIPELINED",
    "MOST_STREAMS",
    "USUAL",
    "Limits",
]

LARGEST_HEAD_BYTES = 64 << 10
"""Of a request before its body. Proxies send some 2 KiB, with the largest cookies and tokens 16 KiB."""

MOST_FIELDS = 256
"""Fields of a request's head; clients send some 10, behind several proxies some 40."""

MOST_FRAMING_BYTES = 1 << 20
"""What may come with a body in pieces beside the body itself: sizes of pieces, extensions, fields after the end."""

MOST_PIPELINED = 128
"""Requests of HTTP/1.1 that wait on one connection for their turn; hardly any client sends a second one."""

MOST_STREAMS = 100
"""Requests at once on one connection of HTTP/2: the least that RFC 9113 (section 6.5.2) thinks right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may take, in seconds and connections; each worker of several has these for itself."""

    head_s: float = 10.0
    """For a handshake of TLS, and for the head of a request from its first byte; also for the first byte of a
    connection. A head fits into a few packets, and one that is lost twice is there within 3 s."""
    body_s: float = 30.0
    """For a body: 1 MiB at 280 kbit/s."""
    answer_s: float = 30.0
    """For each 64 KiB of an answer that the client does not take: 18 kbit/s."""
    idle_s: float = 75.0
    """Between two requests: longer than the proxies in front of servers keep theirs, commonly 60 s."""
    connections: int = 1_000
    """At once. One costs 20 KiB while it is idle, 1.3 MiB at worst. Of requests over HTTP/2 there are at most so many
    at once as well, over all connections."""

    def __post_init__(self) -> None:
        for name in ("head_s", "body_s", "answer_s", "idle_s", "connections"):
            if getattr(self, name) <= 0:
                raise UsageError(
                    f"The server's limit {name!r} cannot be used.", given=getattr(self, name), accepted="more than 0"
                )

    @property
    def most_open(self) -> int:
        """Connections beyond which another is closed without a word; between the two limits they get a 503."""
        return self.connections + max(self.connections // 4, 8)

    @property
    def look_s(self) -> float:
        """How often connections are looked at."""
        return min(0.5, min(self.head_s, self.body_s, self.answer_s, self.idle_s) / 4)


USUAL = Limits()
"""Those of a server that is told nothing else."""
