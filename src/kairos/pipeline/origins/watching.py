"""A watch on calls that reach over a network: whoever goes silent, or only trickles, is not waited for any longer.

Libraries have time-outs for a connection and for a read. None has one for a server that takes no more of what is sent
to it, and a byte now and then puts any of them off for ever. What a call does is not seen from outside; what all
sockets of the process move is, by the kernel's own counts, and so is whether the process computes. A call is given up
when the process neither moves a byte nor computes for a time, or moves next to nothing for ten times as long. The
thread that made it is left behind: it ends with its socket, or with the process.
"""

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

__all__ = ["GRACE_S", "Silent", "Watch", "allow_silence"]

T = TypeVar("T")

GRACE_S = 5.0
"""Longer than a library's own time-out, whose error says more."""
_SLOW_TIMES, _SLOW_BYTES = 10, 64 << 10
"""Fewer bytes than this in ten times the time count as none: a trickle, or signs of life of an idle connection."""
_BUSY = 0.2
"""Share of one processor from which on the process computes."""
_LOOKS = 20
"""Looks at the sockets in the time after which a call is given up, at least once a second."""
_allowed_until_s = 0.0
"""Until when somebody waits on purpose, by the clock of ``time.monotonic``."""


class Silent(TimeoutError):
    """The other side moves nothing; it may do so later."""


def allow_silence(seconds: float) -> None:
    """Lets the process be silent for so long: it waits on purpose, as a server asked it to."""
    global _allowed_until_s
    _allowed_until_s = max(_allowed_until_s, time.monotonic() + seconds)


@dataclass(slots=True)
class Watch:
    """Makes calls, and gives them up when the process has been silent for ``silent_s``.

    Calls of several threads are seen as one: a silent one is given up when the others are silent, too, or are done.
    """

    silent_s: float
    _waiting: set[threading.Event] = field(default_factory=set)
    """Of calls on their way; all are set when everything is given up."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, function: Callable[[], T]) -> T:
        """What the function gives, which runs in a thread of its own.

        Raises:
            Silent: nothing moved for too long, or ``abandon`` was called.
        """
        call = _Call(function)
        with self._lock:
            self._waiting.add(call.done)
        try:
            _Thread(call.run).start()
            self._until(call.done)
            return call.outcome()
        finally:
            with self._lock:
                self._waiting.discard(call.done)

    def items(self, make: Callable[[], Iterator[T]]) -> Iterator[T]:
        """What an iterator gives, which is made, asked and closed in a thread of its own, one item ahead.

        Raises:
            Silent: an item did not come.
        """
        told: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=1)
        enough = threading.Event()
        _Thread(lambda: _feed(make, told, enough)).start()
        try:
            while True:
                is_item, value = self._next(told)
                if is_item:
                    yield value
                elif value is None:
                    return
                else:
                    raise value
        finally:
            enough.set()

    def abandon(self) -> None:
        """Lets all who wait for a call go on at once, without what it was to give."""
        with self._lock:
            for done in self._waiting:
                done.set()

    def _next(self, told: queue.Queue[tuple[bool, Any]]) -> tuple[bool, Any]:
        silence = _Silence(self.silent_s)
        while True:
            with suppress(queue.Empty):
                return told.get(timeout=silence.look_s)
            silence.check()

    def _until(self, done: threading.Event) -> None:
        silence = _Silence(self.silent_s)
        while not done.wait(silence.look_s):
            silence.check()


class _Thread(threading.Thread):
    """Does not keep the process from ending."""

    def __init__(self, target: Callable[[], None]) -> None:
        super().__init__(target=target, name="kairos-watched", daemon=True)


class _Call(Generic[T]):
    def __init__(self, function: Callable[[], T]) -> None:
        self.done = threading.Event()
        self._function = function
        self._given: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._given.append(self._function())
        except BaseException as error:  # it is the caller's
            self._error = error
        self.done.set()

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        if not self._given:
            raise Silent("it was given up before it answered")
        return self._given[0]


def _feed(make: Callable[[], Iterator[T]], told: queue.Queue[tuple[bool, Any]], enough: threading.Event) -> None:
    def tell(is_item: bool, value: Any) -> None:
        while not enough.is_set():
            with suppress(queue.Full):
                told.put((is_item, value), timeout=0.2)
                return

    try:
        iterator = make()
        try:
            for item in iterator:
                tell(True, item)
                if enough.is_set():
                    return
        finally:
            if (close := getattr(iterator, "close", None)) is not None:
                close()
    except BaseException as error:  # it is the caller's
        tell(False, error)
    else:
        tell(False, None)


class _Silence:
    """How long nothing has moved."""

    def __init__(self, silent_s: float) -> None:
        self.look_s = min(1.0, silent_s / _LOOKS)
        self._silent_s = silent_s
        self._moved = _moved()
        self._alive_s = self._slow_s = time.monotonic()
        self._alive_busy_s = self._slow_busy_s = time.process_time()
        self._slow_bytes = 0

    def check(self) -> None:
        """One look.

        Raises:
            Silent: it has been too long.
        """
        now_s, busy_s, moved = time.monotonic(), time.process_time(), _moved()
        count = sum(max(0, total - self._moved.get(name, 0)) for name, total in moved.items())
        self._moved = moved
        self._slow_bytes += count
        quiet_s = now_s - self._alive_s
        is_over = quiet_s >= self._silent_s
        if count or now_s < _allowed_until_s or (is_over and busy_s - self._alive_busy_s > _BUSY * quiet_s):
            self._alive_s, self._alive_busy_s = now_s, busy_s
        elif is_over:
            raise Silent(f"nothing came for {self._silent_s:.0f} s")
        if (slow_s := now_s - self._slow_s) >= _SLOW_TIMES * self._silent_s:
            computed = busy_s - self._slow_busy_s > _BUSY * slow_s
            if self._slow_bytes < _SLOW_BYTES and not computed and now_s >= _allowed_until_s:
                raise Silent(f"only {self._slow_bytes:,} bytes came in {slow_s:.0f} s")
            self._slow_s, self._slow_busy_s, self._slow_bytes = now_s, busy_s, 0


def _moved() -> dict[str, int]:
    """Bytes that the other side acknowledged or sent, of each TCP connection of this process."""
    found: dict[str, int] = {}
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError, struct.error):  # others open and close files meanwhile
            if (link := os.readlink(f"/proc/self/fd/{name}")).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(name))) as copy:
                    info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                # struct tcp_info of Linux: tcpi_bytes_acked and tcpi_bytes_received
                found[link] = sum(struct.unpack_from("=QQ", info, 120))
    return found
