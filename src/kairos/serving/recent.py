"""Whose events may still come, and what has happened to whom: so that of one person nothing counts twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import NamedTuple

from kairos.serving.deployment import Compared
from kairos.serving.event_body import EventBody
from kairos.store.counts import Comparison

__all__ = ["Asked", "Recent"]

_MOST_REMEMBERED = 200_000
"""Bad events of entities that are remembered per comparison; beyond that no more of entities are counted, of either."""

_MOST_RECENT = 200_000
"""Requests and entities about which an event may still come; of older ones it is not counted, of either version."""


class Asked(NamedTuple):
    """A request that was looked at while both versions answered users."""

    compared: Compared
    """What was counted then."""
    arm: str
    """Who was asked: ``base`` or ``test``."""
    prediction_id: str
    entity: str | None


class Recent:
    """The last requests and entities, and what they had; for one thread at a time."""

    def __init__(self) -> None:
        self._asked: OrderedDict[tuple[str, str], Asked] = OrderedDict()
        """By prediction id, or by model and entity."""
        self._had: dict[str, set[str]] = {}
        """What has happened to recent requests without an entity, by prediction id."""
        self._seen: dict[Comparison, set[tuple[str, str]]] = {}
        """What has happened to entities."""

    def expect(self, going_on: Collection[Comparison]) -> None:
        """Forgets what is over."""
        self._seen = {comparison: self._seen.get(comparison, set()) for comparison in going_on}

    def remember(self, asked: Asked) -> None:
        """Keeps a request, and lets go of the oldest."""
        self._asked["", asked.prediction_id] = asked
        if asked.entity is not None:
            self._asked[asked.compared.comparison.model, asked.entity] = asked
        while len(self._asked) > _MOST_RECENT:
            (model, forgotten), _ = self._asked.popitem(last=False)
            if not model:
                self._had.pop(forgotten, None)

    def find(self, event: EventBody) -> Asked | None:
        """The request that an event is about, or the last one of its entity."""
        by_id = event.prediction_id is not None
        return self._asked.get(("", event.prediction_id or "") if by_id else (event.model, event.entity))

    def is_first(self, asked: Asked, what: str) -> bool:
        """Whether it had not happened before to the entity, or to this request without one; from now on it has."""
        if asked.entity is not None:
            return self.is_new(asked.compared.comparison, asked.entity, what)
        had = self._had.setdefault(asked.prediction_id, set())
        is_new = what not in had
        had.add(what)
        return is_new

    def is_new(self, comparison: Comparison, entity: str | None, what: str) -> bool:
        """Whether this entity has not had such an event; of a request without an entity nothing is remembered."""
        if entity is None:
            return True
        seen = self._seen.setdefault(comparison, set())
        if (entity, what) in seen or len(seen) >= _MOST_REMEMBERED:
            return False
        seen.add((entity, what))
        return True
