"""Requests at a steady pace (an open loop), or as fast as they are answered; in a process of its own.

Run: ``python -m benchmarks.serving.paced PLAN_FILE``, a JSON object with the fields of ``Plan``; prints ``Told`` as
JSON. Arrivals do not wait for answers: each millisecond those requests are due that the pace says, and an answer's time
counts from when its request was due, also while it waits for a free connection. So a server that stalls is charged for
all who would have come meanwhile, which a closed loop such as ``wrk`` hides.

One thread with ``epoll`` and plain sockets, so that it costs little: it does not read an answer beyond its status, its
length and, if asked, its prediction id.
"""

from __future__ import annotations

import json
import select
import socket
import sys
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import IO
from urllib.parse import urlsplit

__all__ = ["Plan", "Told"]

_ID = b'"prediction_id":"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do."""

    url: str
    body_file: str
    connections: int
    seconds: float
    per_s: float | None = None
    """Requests a second; ``None``: each connection sends its next one when it has an answer."""
    ids_file: str | None = None
    """Where the prediction id of each answer goes, one a line."""


@dataclass(slots=True, kw_only=True)
class Told:
    """What came of it."""

    answers: int = 0
    refused: int = 0
    """Answers other than 200."""
    broken: int = 0
    """Requests whose connection ended before an answer came."""
    unanswered: int = 0
    """Requests that were due and have no answer two seconds after the end."""
    late: int = 0
    """Of the answers: to requests that waited for a free connection."""
    minutes: list[dict[str, float]] = field(default_factory=list)
    """``answers``, ``p50_ms``, ``p99_ms`` and ``worst_ms`` of each minute; the last may be a shorter one."""


class _Lane:
    """One connection and the request on it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self.due_s = 0.0
        self.is_busy = False
        self.connect()

    def connect(self) -> None:
        """Opens it; waits where the server is not there for a moment."""
        self.socket = socket.create_connection(self._address, timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.read = b""


class _Load:
    """All connections."""

    def __init__(self, plan: Plan, ids: IO[bytes] | None) -> None:
        parts = urlsplit(plan.url)
        body = Path(plan.body_file).read_bytes()
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        self._request = head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._plan, self._ids = plan, ids
        self._epoll = select.epoll()
        self._lanes: dict[int, _Lane] = {}
        self._free: deque[_Lane] = deque()
        self._took: list[float] = []
        self.told = Told()
        for _ in range(plan.connections):
            self._add(_Lane((str(parts.hostname), int(parts.port or 80))))

    def run(self) -> Told:
        """All of it."""
        plan, waiting = self._plan, deque[float]()
        begin = monotonic()
        end, minute, sent = begin + plan.seconds, begin + 60.0, 0
        while (now := monotonic()) < end:
            if now >= minute:
                self._end_minute()
                minute += 60.0
            if plan.per_s is None:
                waiting.extend([now] * (len(self._free)))
            else:
                due = int((now - begin) * plan.per_s)
                waiting.extend([now] * (due - sent))
                sent = due
            self._send(waiting)
            if not self._hear(0.001) and plan.per_s is not None and not self._busy:
                sleep(0.0005)
        stop = monotonic() + 2.0
        while (waiting or self._busy) and monotonic() < stop:
            self._send(waiting)
            self._hear(0.01)
        self.told.unanswered = len(waiting) + self._busy
        self._end_minute()
        return self.told

    @property
    def _busy(self) -> int:
        return len(self._lanes) - len(self._free)

    def _add(self, lane: _Lane) -> None:
        self._lanes[lane.socket.fileno()] = lane
        self._epoll.register(lane.socket.fileno(), select.EPOLLIN)
        self._free.append(lane)

    def _send(self, waiting: deque[float]) -> None:
        late_after = monotonic() - 0.0015
        while waiting and self._free:
            lane = self._free.popleft()
            lane.due_s, lane.is_busy = waiting.popleft(), True
            self.told.late += lane.due_s < late_after
            try:
                lane.socket.send(self._request)  # a request is far smaller than the socket's buffer
            except OSError:
                self._again(lane)

    def _hear(self, timeout_s: float) -> bool:
        ready = self._epoll.poll(timeout_s)
        for number, _ in ready:
            lane = self._lanes[number]
            try:
                more = lane.socket.recv(262_144)
            except OSError:
                more = b""
            if not more:
                self._again(lane)
                continue
            lane.read = lane.read + more if lane.read else more
            if self._is_whole(lane.read):
                self._answered(lane)
        return bool(ready)

    def _is_whole(self, read: bytes) -> bool:
        end = read.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = read[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        return len(read) >= end + 4 + length

    def _answered(self, lane: _Lane) -> None:
        if lane.read.startswith(b"HTTP/1.1 200"):
            self.told.answers += 1
            self._took.append(monotonic() - lane.due_s)
            if self._ids is not None:
                at = lane.read.find(_ID) + len(_ID)
                self._ids.write(lane.read[at : lane.read.index(b'"', at)] + b"\n")
        else:
            self.told.refused += 1
        lane.read, lane.is_busy = b"", False
        self._free.append(lane)

    def _again(self, lane: _Lane) -> None:
        """Opens a connection that the server ended once more."""
        self.told.broken += lane.is_busy
        del self._lanes[lane.socket.fileno()]
        if not lane.is_busy:
            self._free.remove(lane)
        lane.socket.close()
        lane.is_busy = False
        lane.connect()
        self._add(lane)

    def _end_minute(self) -> None:
        took = sorted(self._took)
        self._took = []
        if took:
            told = {"p50_ms": took[len(took) // 2], "p99_ms": took[len(took) * 99 // 100], "worst_ms": took[-1]}
            self.told.minutes.append({"answers": len(took), **{name: 1e3 * s for name, s in told.items()}})


def main() -> None:
    """Reads the plan and prints what came of it."""
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text()))
    if plan.ids_file is None:
        told = _Load(plan, None).run()
    else:
        with Path(plan.ids_file).open("wb") as ids:
            told = _Load(plan, ids).run()
    print(json.dumps(asdict(told)))


if __name__ == "__main__":
    main()
