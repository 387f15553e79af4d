"""What waiting has cost: rent or buy.

The champion's excess loss over a freshly trained model is the rent that is paid for not changing; a change has its
price. Buy when the rent paid since the last change has reached the price: whatever comes later, one then has paid at
most twice what somebody would have paid who knew the future, if excess does not fall with age. For a loss that grows by
``a`` a day with age, the rule fires after ``sqrt(2 c / (v n a))`` days, which is the best fixed period there is.

Rent counts only as far as it is proven: by its lower confidence bound, over the last few blocks taken together.

References:
    Dooly, Goldman & Scott (JACM 2001), the same argument for acknowledgements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from kairos.delivery.retrain.facts import Reading

__all__ = ["POOLED", "excess_bounds", "regret"]

POOLED = 4
"""Blocks, the last ones, that are taken together for a bound: one alone is noisy, all together are slow to see."""


def excess_bounds(readings: Sequence[Reading], *, confidence: float) -> tuple[float, ...]:
    """After each reading: the champion's excess loss, a row, is above this, one-sided, at ``confidence``.

    Args:
        readings: About one champion, in the order of time; blocks are taken as independent of each other.
        confidence: In (0.5, 1).

    Returns:
        One bound a reading, in the unit of the loss; ``-inf`` where nothing is known.
    """
    reach = NormalDist().inv_cdf(confidence)
    bounds = []
    for last in range(1, len(readings) + 1):
        pool = [one for one in readings[max(0, last - POOLED) : last] if math.isfinite(one.se) and one.rows]
        rows = sum(one.rows for one in pool)
        if not rows:
            bounds.append(-math.inf)
            continue
        mean = sum(one.rows * one.excess for one in pool) / rows
        se = math.sqrt(sum((one.rows * one.se) ** 2 for one in pool)) / rows
        bounds.append(mean - reach * se)
    return tuple(bounds)


def regret(readings: Sequence[Reading], *, confidence: float, rows_per_day: float) -> float:
    """What not changing has cost so far, as loss a row times days of usual traffic; 0 or more.

    Args:
        readings: About one champion, in the order of time.
        confidence: Of each bound, in (0.5, 1).
        rows_per_day: Of a usual day; above 0.

    Examples:
        >>> from datetime import UTC, datetime, timedelta
        >>> from kairos.values import Window
        >>> week = Window(datetime(2012, 1, 2, tzinfo=UTC), datetime(2012, 1, 9, tzinfo=UTC))
        >>> one = Reading(window=week, rows=168, champion=40.0, fresh=35.0, se=1.0, age_days=10.0)
        >>> round(regret([one], confidence=0.8, rows_per_day=24.0), 1)
        29.1
    """
    if rows_per_day <= 0:
        return 0.0
    bounds = excess_bounds(readings, confidence=confidence)
    return sum(one.rows * max(bound, 0.0) for one, bound in zip(readings, bounds, strict=True)) / rows_per_day
