"""On which day did it change? The best place to cut a series of days in two, and whether a cut is called for at all.

For looking back once, after an alarm; it is no detector. Of a slow change the middle is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, finite
from kairos.values import Distance, PValue

__all__ = ["Split", "split_counts", "split_means"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A cut between two days."""

    first: int
    """Index of the first day after the change."""
    p_value: PValue
    """Of "nothing changed", over all places where a cut was tried; rough, as neighbouring days resemble each other."""
    size: float
    """How much changed: of means, in standard deviations of a day; of counts, the share of rows that moved."""


def split_means(means: ArrayLike, *, least: int = 2, earliest: int = 0, rises: bool = False) -> Split | None:
    """The cut that leaves the two parts of a series most alike within and most different between.

    Args:
        means: One number a day, in order, shape (days,).
        least: Days on either side, 1 or more.
        earliest: No cut before the day of this index.
        rises: Only cuts after which the mean is higher; of those there may be none.

    Returns:
        ``None`` with too few days for any cut, or without a rise if one was asked for.

    Examples:
        >>> found = split_means([1.0, 1.1, 0.9, 1.0, 5.0, 5.1, 4.9])
        >>> found.first
        4
    """
    x = finite("means", means)
    places = _places(x.size, least)
    places = places[places >= earliest]
    if not places.size or x.size < 3:
        return None
    ends, squares = np.cumsum(x), np.cumsum(x**2)
    left, right = ends[places - 1] / places, (ends[-1] - ends[places - 1]) / (x.size - places)
    gain = places * (x.size - places) / x.size * (right - left) ** 2
    if rises:
        gain = np.where(right > left, gain, 0.0)
        if not gain.any():
            return None
    rest = np.maximum(squares[-1] - ends[-1] ** 2 / x.size - gain, 0.0)
    best = int(np.argmax(gain))
    freedom = x.size - 2
    spread = math.sqrt(max(float(rest[best]) / freedom, 1e-300))
    t = math.sqrt(float(gain[best])) / spread
    p = min(1.0, 2 * float(special.stdtr(freedom, -min(t, 1e6))) * places.size) if gain[best] > 0 else 1.0
    return Split(first=int(places[best]), p_value=PValue(p), size=float(right[best] - left[best]) / spread)


def split_counts(day_counts: ArrayLike, *, least: int = 2) -> Split | None:
    """The cut between days whose histograms differ most, by the likelihood ratio.

    How much the days of one part differ from each other is taken out (Rao & Scott 1984, first order), as the rows of
    one day are alike.

    Args:
        day_counts: Rows per cell, shape (days, cells), days in order.
        least: Days with rows on either side, 1 or more.

    Returns:
        ``None`` with too few days for any cut, or one cell only.

    Examples:
        >>> found = split_counts([[10, 0], [9, 1], [10, 0], [1, 9], [0, 10]])
        >>> found.first, round(found.size, 2)
        (3, 0.92)
    """
    counts = np.asarray(day_counts, dtype=np.float64)
    if counts.ndim != 2 or not np.isfinite(counts).all() or (counts.size and counts.min() < 0):
        raise ShapeMismatch(
            "Counts of days have another shape.", given=f"shape {counts.shape}", accepted="(days, cells)"
        )
    days = np.flatnonzero(counts.sum(axis=1) > 0)  # days without rows say nothing
    kept = counts[days][:, counts.sum(axis=0) > 0]
    places = _places(days.size, least)
    if not places.size or kept.shape[1] < 2:
        return None
    ends = np.cumsum(kept, axis=0)
    left, right = ends[places - 1], ends[-1] - ends[places - 1]
    gain = 2 * (_entropy(ends[-1]) - _entropy(left) - _entropy(right))
    best = int(np.argmax(gain))
    effect, known = _day_effect(kept, int(places[best]))
    freedom = kept.shape[1] - 1
    ratio = max(float(gain[best]), 0.0) / freedom / effect
    p = min(1.0, float(special.fdtrc(freedom, known or 1e9, ratio)) * places.size)
    moved = np.abs(left[best] / left[best].sum() - right[best] / right[best].sum()).sum() / 2
    return Split(first=int(days[places[best]]), p_value=PValue(p), size=Distance(float(moved)))


def _places(days: int, least: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if least < 1:
        raise UsageError("A part of a series has days.", given=least, accepted="1 or more")
    return np.arange(least, days - least + 1, dtype=np.int64)


def _entropy(counts: Floats) -> Floats:
    """Rows times the entropy of their cells, natural logarithm, over the last axis."""
    return np.asarray(
        special.xlogy(counts.sum(axis=-1), counts.sum(axis=-1)) - special.xlogy(counts, counts).sum(axis=-1)
    )


def _day_effect(counts: Floats, place: int) -> tuple[float, int]:
    """How many rows say as much as one, from how much the days of one part differ, 1 or more; degrees of freedom."""
    pearson, freedom = 0.0, 0
    for part in (counts[:place], counts[place:]):
        some = part[:, part.sum(axis=0) > 0]
        expected = np.outer(some.sum(axis=1), some.sum(axis=0)) / some.sum()
        pearson += float(((some - expected) ** 2 / expected).sum())
        freedom += (some.shape[0] - 1) * (some.shape[1] - 1)
    return (max(1.0, pearson / freedom) if freedom else 1.0), freedom
