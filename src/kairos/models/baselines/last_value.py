"""The last truth that was known when a row was answered, of the same entity; or that of the same hour of the week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.values import Json

__all__ = ["WEEK_S", "History", "LastValue", "codes_of", "suits_week"]

Floats = NDArray[np.float64]

WEEK_S = 7 * 86_400
_WEEKS_BACK = 4
"""The same hour is looked for so many weeks back at most; after that the last value is taken."""
_DAY_S = 86_400
_LOOKED_AT = 100_000
"""Rows by which the step of time is told, or one entity's if it has more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Truths with their moments."""

    at_s: NDArray[np.int64]
    """When each row is of, in whole seconds, shape (n,)."""
    entity: NDArray[np.int64]
    """Whom it is about, by number; 0 where nobody is."""
    truth: Floats
    """Shape (n,) or (n, targets)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastValue:
    """How the last value is looked for."""

    delay_s: float
    """A truth is known so long after its row's moment; and never before that moment is over."""
    season_s: int | None = None
    """``None``: the last; else the last that lies a whole number of seasons back."""

    def answers(self, history: History, at_s: NDArray[np.int64], entity: NDArray[np.int64]) -> Floats:
        """The value for each asked row; NaN where none was known.

        Args:
            history: Truths, of which some may be of the asked rows themselves, or later.
            at_s: Moments that are asked about, shape (m,).
            entity: By the numbers of the history.

        Returns:
            Shape (m,), or (m, targets).
        """
        found = _Index(history)
        delay = int(np.ceil(self.delay_s))
        answers = found.before(at_s - max(delay, 1), entity)
        if self.season_s is None:
            return answers
        first = max(1, -(-delay // self.season_s))
        for back in reversed(range(first, first + _WEEKS_BACK)):
            same = found.exactly(at_s - back * self.season_s, entity)
            known = np.isfinite(same) if same.ndim == 1 else np.isfinite(same).all(axis=1)
            answers[known] = same[known]
        return answers

    @classmethod
    def from_plain(cls, value: Json) -> LastValue:
        """Reads what ``plain`` of ``values`` wrote."""
        return cls(delay_s=value["delay_s"], season_s=value["season_s"])


class _Index:
    """Truths by entity and moment, in one ascending key."""

    def __init__(self, history: History) -> None:
        self._start = int(history.at_s.min(initial=0))
        self._width = int(history.at_s.max(initial=0)) - self._start + 2
        keys = history.entity * self._width + (history.at_s - self._start + 1)
        order = np.argsort(keys, kind="stable")
        self._keys, self._truth = keys[order], history.truth[order]

    def before(self, at_s: NDArray[np.int64], entity: NDArray[np.int64]) -> Floats:
        """The last at or before a moment."""
        inside = np.clip(at_s - self._start + 1, 0, self._width - 1)
        place = np.searchsorted(self._keys, entity * self._width + inside, side="right") - 1
        return self._taken(place, entity)

    def exactly(self, at_s: NDArray[np.int64], entity: NDArray[np.int64]) -> Floats:
        """The one of a moment."""
        wanted = at_s - self._start + 1
        keys = entity * self._width + np.clip(wanted, 0, self._width - 1)
        place = np.searchsorted(self._keys, keys, side="right") - 1
        found = self._taken(place, entity)
        found[(wanted < 1) | (wanted >= self._width) | (self._keys[np.maximum(place, 0)] != keys)] = np.nan
        return found

    def _taken(self, place: NDArray[np.int64], entity: NDArray[np.int64]) -> Floats:
        found = np.array(self._truth[np.maximum(place, 0)], dtype=np.float64)
        found[(place < 0) | (self._keys[np.maximum(place, 0)] // self._width != entity)] = np.nan
        return found


def codes_of(*columns: Sequence[Any]) -> list[NDArray[np.int64]]:
    """Entities of several tables as numbers that agree.

    >>> [codes.tolist() for codes in codes_of(["a", "b"], ["b", "c"])]
    [[0, 1], [1, 2]]
    """
    known: dict[str, int] = {}
    return [
        np.array([known.setdefault(str(each), len(known)) for each in column], dtype=np.int64) for column in columns
    ]


def suits_week(history: History) -> bool:
    """Whether rows come at least once a day, and for three weeks: then the hour of the week may say something."""
    if history.at_s.size < 2 or history.at_s.max() - history.at_s.min() < 3 * WEEK_S:
        return False
    counts = np.cumsum(np.bincount(history.entity))
    few = history.entity <= np.searchsorted(counts, _LOOKED_AT)  # the entities that come first, whole
    history = History(at_s=history.at_s[few], entity=history.entity[few], truth=history.truth[:0])
    start, width = history.at_s.min(), history.at_s.max() - history.at_s.min() + 1
    entity, at = np.divmod(np.unique(history.entity * width + history.at_s - start), width)
    gaps = np.diff(at)[np.diff(entity) == 0]
    return bool(gaps.size) and float(np.median(gaps)) <= _DAY_S
