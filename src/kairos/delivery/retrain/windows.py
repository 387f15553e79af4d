"""From how long ago a model should learn: candidates, and the choice between them from what they lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kairos.delivery.retrain.readings import Reading, mean_excess
from kairos.errors import UsageError
from kairos.stats.arrays import Floats

__all__ = ["ALL", "RECENT", "TrainingWindow", "choose_window", "windows_to_try"]

RECENT = 3
"""Readings, the last ones, that a training window is chosen by: more are slow to see a world that has changed."""

_ALPHA = 0.05
_SHORTEST_DAYS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingWindow:
    """Which rows of a history a model learns from, and how much each counts."""

    days: float | None = None
    """Only rows this young; ``None``: all."""
    half_life_days: float | None = None
    """A row this much older counts half; ``None``: all count alike."""

    @property
    def name(self) -> str:
        """Such as ``all``, ``91d``, ``all, half-life 45.5d``.

        >>> TrainingWindow(days=45.5).name, TrainingWindow(half_life_days=30.0).name
        ('45.5d', 'all, half-life 30d')
        """
        reach = "all" if self.days is None else f"{self.days:g}d"
        return reach if self.half_life_days is None else f"{reach}, half-life {self.half_life_days:g}d"

    @property
    def memory_days(self) -> float:
        """How far back it effectively looks: a row's weight times a day, summed over all ages."""
        faded = math.inf if self.half_life_days is None else self.half_life_days / math.log(2)
        return min(math.inf if self.days is None else self.days, faded)

    @classmethod
    def parse(cls, name: str) -> TrainingWindow:
        """Undoes ``name``.

        Raises:
            UsageError: it is no such name.
        """
        reach, _, fading = name.partition(", half-life ")
        try:
            days = None if reach == "all" else float(reach.removesuffix("d"))
            half = float(fading.removesuffix("d")) if fading else None
        except ValueError:
            raise UsageError(
                "A training window cannot be read.", given=name, accepted="such as 'all' or '91d'"
            ) from None
        return cls(days=days, half_life_days=half)


ALL = TrainingWindow()
"""Everything that the pipeline gives."""


def windows_to_try(history_days: float, *, weighted: bool) -> tuple[TrainingWindow, ...]:
    """All of the history, and again and again its younger half.

    Args:
        history_days: How far back the history goes.
        weighted: Whether the model can be told how much each row counts; then also all rows, the older the less.
    """
    halves = [history_days / 2**k for k in range(1, 5)]
    cut = [TrainingWindow(days=round(days, 2)) for days in halves if days >= _SHORTEST_DAYS]
    faded = [TrainingWindow(half_life_days=round(history_days / 4, 2))] if weighted else []
    return (ALL, *faded, *cut)


def choose_window(readings: Sequence[Reading]) -> TrainingWindow:
    """The longest training window that is not proven worse than the best, by the last readings.

    More rows teach more unless the data say otherwise. Windows are compared on the same days, neighbouring days taken
    as dependent, one-sided at 5 %.

    Args:
        readings: Of any champions, in the order of time.

    Returns:
        The whole history where nothing is known, or where windows were tried that are not in all these readings.
    """
    last = readings[-RECENT:]
    if not last:
        return ALL
    tried = [TrainingWindow.parse(name) for name in last[-1].tried if all(name in one.tried for one in last)]
    if not tried:
        return ALL
    names = [one.name for one in sorted(tried, key=lambda one: one.memory_days, reverse=True)]
    rows = np.concatenate([one.rows for one in last])
    losses = {name: np.concatenate([one.tried[name] for one in last]) for name in names}
    best = min(names, key=lambda name: float(losses[name].sum()))
    for name in names:
        if name == best or not _is_worse(losses[name], losses[best], rows):
            return TrainingWindow.parse(name)
    raise AssertionError("the best window is one of them")


def _is_worse(one: Floats, best: Floats, rows: NDArray[np.int64]) -> bool:
    found = mean_excess(one, best, rows)
    return found is not None and found.bound(1 - _ALPHA) > 0
