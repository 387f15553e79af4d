"""Looks after all connections with one timer: nothing is paid for it on the way of a request."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable, Iterable
from math import inf
from typing import Protocol

from kairos.serving.connections.limits import Limits

__all__ = ["Keeper", "Kept", "Stall", "make_room"]

_log = logging.getLogger("kairos.serving")

_OTHER_FILES = 256
"""Files and sockets that a server has open beside its clients' connections."""

RENEW_S = 10.0
"""How often is looked whether there is a newer certificate."""


class Kept(Protocol):
    """A connection."""

    def look(self, now_s: float) -> None:
        """Ends itself if its client takes too long.

        Args:
            now_s: The loop's time.
        """
        ...


class Keeper:
    """Looks at connections again and again while it runs.

    Args:
        connections: Those that are open.
        renew: Called every ``RENEW_S``.
        every_s: How often connections are looked at.
    """

    def __init__(
        self, connections: Callable[[], Iterable[Kept]], *, renew: Callable[[], object], every_s: float
    ) -> None:
        self._connections = connections
        self._renew = renew
        self._renewed_s = -inf
        self._every_s = every_s

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Looks from now on, as long as the loop runs."""
        loop.call_later(self._every_s, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.begin(loop)
        now_s = loop.time()
        for connection in list(self._connections()):
            connection.look(now_s)
        if now_s - self._renewed_s >= RENEW_S:
            self._renewed_s = now_s
            self._renew()


class Stall:
    """How long a client has not taken all that it was sent."""

    def __init__(self) -> None:
        self._since_s: float | None = None

    def end(self) -> None:
        """The client has taken most of it."""
        self._since_s = None

    def lasts_s(self, transport: asyncio.WriteTransport, now_s: float) -> float:
        """Seconds since it was first seen; 0 if nothing waits."""
        if not transport.get_write_buffer_size():
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        return 0.0 if self._since_s is None else now_s - self._since_s


def make_room(limits: Limits) -> None:
    """Lets this process open as many files as it may have connections; says so where the system does not let it."""
    wanted = limits.most_open + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        _log.warning(
            "%d connections need %d open files, and this process may have %d. Set server.limits.connections to %d.",
            limits.connections,
            wanted,
            most,
            max((most - _OTHER_FILES) * 4 // 5, 1),
        )
