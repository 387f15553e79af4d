"""What a champion and freshly trained models made of the same rows, which none of them had seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from kairos.stats.dependence import Dependence, spread
from kairos.values import Json, Window, plain, unplain

__all__ = ["Excess", "Reading", "mean_excess", "pooled_excess"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """How much more one model loses than another, a row, and how sure that is."""

    mean: float
    """In the unit of the loss."""
    se: float
    """Standard error, neighbouring days taken as dependent."""
    df: float
    """Degrees of freedom of its t quantile."""

    def bound(self, confidence: float) -> float:
        """The truth is above this with chance ``confidence``, in (0.5, 1)."""
        return self.mean - float(stdtrit(self.df, confidence)) * self.se


def mean_excess(one: ArrayLike, other: ArrayLike, rows: ArrayLike) -> Excess | None:
    """How much more one model loses than another, a row.

    Args:
        one: Sum of its losses on each day, shape (days,), in the order of time.
        other: The other's, on the same days.
        rows: How many rows each day has.

    Returns:
        ``None`` with fewer than two days, or where a loss is no number.

    Examples:
        >>> found = mean_excess([30.0, 50.0, 40.0], [20.0, 30.0, 25.0], [10, 10, 10])
        >>> round(found.mean, 3), round(found.se, 3)
        (1.5, 0.289)
    """
    difference = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    weights = np.asarray(rows, dtype=np.float64)
    if difference.size < 2 or not weights.sum() > 0 or not np.isfinite(difference).all():
        return None
    mean = float(difference.sum() / weights.sum())
    found = spread(mean + (difference - mean * weights) / weights.mean(), Dependence(times=np.arange(len(weights))))
    return Excess(mean=mean, se=found.se, df=found.df)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Losses on a block of rows with a known truth, by day."""

    window: Window
    """When the rows are from; the fresh models learnt from what was known when it begins."""
    rows: tuple[int, ...]
    """How many each day has; days without rows are left out."""
    champion: tuple[float, ...]
    """Sum of the champion's losses on each of the last of these days, of whose rows it has seen none; empty if none."""
    tried: Mapping[str, tuple[float, ...]]
    """The same of a freshly trained model for each training window that was tried, by the window's name."""
    chosen: str
    """The training window that a training would have used when the block began."""
    age_days: float
    """How much older the champion's data were than the fresh models', in days; 0 or more."""

    @property
    def n(self) -> int:
        """How many rows."""
        return sum(self.rows)

    @property
    def days(self) -> float:
        """How long the block is."""
        return self.window.days

    @property
    def fresh(self) -> tuple[float, ...]:
        """Sums of the losses of the model that a training would have made."""
        return self.tried[self.chosen]

    @property
    def compared_rows(self) -> tuple[int, ...]:
        """How many rows each day has on which the champion is compared."""
        return self.rows[len(self.rows) - len(self.champion) :]

    @property
    def compared(self) -> tuple[float, ...]:
        """Sums of the losses of the model that a training would have made, on the same days."""
        return self.fresh[len(self.rows) - len(self.champion) :]

    @property
    def champion_mean(self) -> float:
        """The champion's mean loss a row; NaN if it cannot be told."""
        return sum(self.champion) / sum(self.compared_rows) if sum(self.compared_rows) else math.nan

    @property
    def fresh_mean(self) -> float:
        """The fresh model's mean loss a row."""
        return sum(self.fresh) / self.n if self.n else math.nan

    @property
    def excess(self) -> float:
        """What the champion lost more, a row of the days on which it is compared; NaN if it cannot be told."""
        return (sum(self.champion) - sum(self.compared)) / sum(self.compared_rows) if self.champion else math.nan

    def plain(self) -> Json:
        """The reading as JSON holds it."""
        return plain(self)

    @classmethod
    def from_plain(cls, value: Json) -> Reading:
        """Undoes ``plain``."""
        found: dict[str, Any] = unplain(value)
        return cls(
            window=Window.parse(found["window"]),
            rows=tuple(found["rows"]),
            champion=tuple(found["champion"]),
            tried={name: tuple(sums) for name, sums in found["tried"].items()},
            chosen=found["chosen"],
            age_days=found["age_days"],
        )


def pooled_excess(readings: Sequence[Reading]) -> Excess | None:
    """The champion's excess over fresh models on all rows of these readings taken together.

    Args:
        readings: About one champion, in the order of time.
    """
    known = [one for one in readings if one.champion]
    if not known:
        return None
    champion = np.concatenate([one.champion for one in known])
    fresh = np.concatenate([one.compared for one in known])
    return mean_excess(champion, fresh, np.concatenate([one.compared_rows for one in known]))
