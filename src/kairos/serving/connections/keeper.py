"""Looks after all connections with one timer: nothing is paid for it on the way of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from math import inf
from typing import Protocol

__all__ = ["Keeper", "Kept"]

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
