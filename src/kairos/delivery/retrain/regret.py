"""What waiting has cost: rent or buy.

The champion's excess loss over a freshly trained model is the rent that is paid for not changing; a change has its
price. Buy when the rent paid since the last change has reached the price: whatever comes later, one then has paid at
most twice what somebody would have paid who knew the future, if excess does not fall with age. For a loss that grows by
``a`` a day with age, the rule fires after ``sqrt(2 c / a)`` days, which is the best fixed period there is.

Rent counts only as far as it is proven: by its lower confidence bound, over the last few blocks taken together.

References:
    Dooly, Goldman & Scott (JACM 2001), the same argument for acknowledgements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kairos.delivery.retrain.readings import Reading, pooled_excess

__all__ = ["POOLED", "excess_bounds", "regret"]

POOLED = 4
"""Blocks, the last ones, that are taken together for a bound: one alone is noisy, all together are slow to see."""


def excess_bounds(readings: Sequence[Reading], *, confidence: float) -> tuple[float, ...]:
    """After each reading: the champion's excess loss, a row, is above this, one-sided, at ``confidence``.

    Args:
        readings: About one champion, in the order of time.
        confidence: In (0.5, 1).

    Returns:
        One bound a reading, in the unit of the loss; ``-inf`` where nothing is known.
    """
    bounds = []
    for last in range(1, len(readings) + 1):
        pool = readings[max(0, last - POOLED) : last]
        found = pooled_excess(pool)
        is_known = bool(pool[-1].champion) and found is not None and math.isfinite(found.se)
        bounds.append(found.bound(confidence) if is_known and found is not None else -math.inf)
    return tuple(bounds)


def regret(readings: Sequence[Reading], *, confidence: float) -> float:
    """What not changing has cost so far, as loss a row times days of usual traffic; 0 or more.

    Each bound counts for as many days as the champion is compared on in its reading.

    Args:
        readings: About one champion, in the order of time.
        confidence: Of each bound, in (0.5, 1).

    Examples:
        >>> from datetime import UTC, datetime
        >>> from kairos.values import Window
        >>> week = Window(datetime(2012, 1, 2, tzinfo=UTC), datetime(2012, 1, 9, tzinfo=UTC))
        >>> lost, fresh = (28.0, 31.0, 30.0, 29.0, 32.0, 30.0, 30.0), (25.0,) * 7
        >>> one = Reading(window=week, rows=(1,) * 7, champion=lost, tried={"all": fresh}, chosen="all", age_days=10.0)
        >>> round(regret([one], confidence=0.8), 1)
        31.8
    """
    bounds = excess_bounds(readings, confidence=confidence)
    return sum(len(one.champion) * max(bound, 0.0) for one, bound in zip(readings, bounds, strict=True))
