"""How fast a model ages: the slope of its excess loss on its age, from readings of the past."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import stdtrit

from kairos.delivery.retrain.age import Slope
from kairos.delivery.retrain.readings import Reading

__all__ = ["MIN_READINGS", "risk_slope"]

MIN_READINGS = 5
"""Fewer readings tell nothing about ageing."""


def risk_slope(readings: Sequence[Reading]) -> Slope | None:
    """The slope of excess loss on age, of a line through nothing at age 0; ``None`` with fewer than five readings.

    Args:
        readings: About any number of champions; each counts by its rows.
    """
    known = [one for one in readings if one.n and one.age_days > 0 and math.isfinite(one.excess)]
    if len(known) < MIN_READINGS:
        return None
    weight = sum(one.n * one.age_days**2 for one in known)
    estimate = sum(one.n * one.age_days * one.excess for one in known) / weight
    # White's variance: readings are noisy in different measure
    spread = sum((one.n * one.age_days * (one.excess - estimate * one.age_days)) ** 2 for one in known)
    freedom = len(known) - 1
    reach = float(stdtrit(freedom, 0.95)) * math.sqrt(spread * len(known) / freedom) / weight
    return Slope(estimate=estimate, lower=estimate - reach, upper=estimate + reach)
