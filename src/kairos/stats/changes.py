"""Did a mean change, in either direction and from an unknown level? Intervals begun at different times disagree.

``detector`` needs to be told what is tolerated. This does not: from time to time it begins a new confidence sequence;
while nothing changes all of them hold the one mean, and when no value is in all of them the mean has changed.

References:
    Shekhar & Ramdas (2023), repeated forward confidence sequences: mean time to a false alarm at least 1 / alpha.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import UsageError
from kairos.stats.arrays import check_alpha, check_range, finite
from kairos.stats.bernstein import bernstein_path

__all__ = ["MeanChange", "mean_change"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanChange:
    """A change that was found."""

    at: int
    """Index of the value with which it was seen."""
    began: int
    """Index of the value with which the interval begins that disagrees: the change is not long before or after it."""
    before: tuple[float, float]
    """Bounds of the mean up to then, from the interval that it disagrees with."""
    after: tuple[float, float]
    """Bounds of the mean from then on."""


def mean_change(x: ArrayLike, *, lower: float, upper: float, alpha: float, every: int = 1) -> MeanChange | None:
    """The first change of the mean of bounded values, or ``None`` if there is none to be seen.

    False alarms are on average at least ``1 / alpha`` values apart while each expectation, given the past, is steady;
    the values need not be independent.

    Args:
        x: Values in order of time, shape (n,), each in ``[lower, upper]``.
        lower: Smallest possible value.
        upper: Largest possible value.
        alpha: One over the mean time between false alarms, in values.
        every: A new interval is begun with every such value. More than 1 costs a little delay and saves time, which
            grows with ``n**2 / every``.

    Examples:
        >>> found = mean_change([0.2, 0.4] * 100 + [0.6, 0.8] * 50, lower=0, upper=1, alpha=0.001)
        >>> found.at, found.began
        (248, 200)
    """
    check_alpha(alpha)
    values = finite("values", x)
    check_range("values", values, lower, upper)
    if every < 1:
        raise UsageError("Intervals cannot be begun so often.", given=every, accepted="1 or more values apart")
    starts = range(0, values.size, every)
    below = np.full(values.size, float(lower))
    above = np.full(values.size, float(upper))
    from_below, from_above = (np.zeros(values.size, dtype=np.int64) for _ in range(2))
    for start in starts:
        _, low, high = bernstein_path(values[start:], lower=lower, upper=upper, alpha=alpha)
        low, high = np.maximum.accumulate(low), np.minimum.accumulate(high)
        tighter_low, tighter_high = low > below[start:], high < above[start:]
        below[start:], above[start:] = np.maximum(below[start:], low), np.minimum(above[start:], high)
        from_below[start:][tighter_low], from_above[start:][tighter_high] = start, start
    apart = np.flatnonzero(below > above)
    if apart.size == 0:
        return None
    at = int(apart[0])
    first, second = sorted((int(from_below[at]), int(from_above[at])))

    def bounds(start: int, end: int) -> tuple[float, float]:
        _, low, high = bernstein_path(values[start:end], lower=lower, upper=upper, alpha=alpha)
        return float(low.max()), float(high.min())

    return MeanChange(at=at, began=second, before=bounds(first, second), after=bounds(second, at + 1))
