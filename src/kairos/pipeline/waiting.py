"""Which steps may start: each when all that it waits for is there, in the order of the graph."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping

__all__ = ["Waiting"]


class Waiting:
    """Steps that have not started; looking for the next one takes no longer the more there are.

    Args:
        wanted: Step to those that it waits for, in the order of the graph.
    """

    def __init__(self, wanted: Mapping[str, Collection[str]]) -> None:
        self._places = {name: place for place, name in enumerate(wanted)}
        self._blocked = {name: set(steps) for name, steps in wanted.items()}
        self._behind: dict[str, list[str]] = {}
        self._ready: list[tuple[int, str]] = []
        for name, steps in wanted.items():
            for step in set(steps):
                self._behind.setdefault(step, []).append(name)
            if not steps:
                self._is_ready(name)

    def __bool__(self) -> bool:
        """Whether a step may start."""
        return bool(self._ready)

    def next(self) -> str:
        """Takes the step that comes first in the graph, of those that may start."""
        return heapq.heappop(self._ready)[1]

    def done(self, step: str) -> None:
        """What a step gives is there."""
        for name in self._behind.get(step, ()):
            self._blocked[name].discard(step)
            if not self._blocked[name]:
                self._is_ready(name)

    def _is_ready(self, name: str) -> None:
        heapq.heappush(self._ready, (self._places[name], name))
