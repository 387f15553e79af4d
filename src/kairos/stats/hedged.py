"""Bounds for a steady mean, by betting against every other one: as a rule narrower than those in closed form.

A bettor against "the mean is m" plays half of the money up and half down. The means that did not make him rich are the
interval. His bets do not depend on m but where they would risk more than half of the money, so money against "at least
m" only falls with m, and the ends of the interval are found by halving.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, check_range, finite
from kairos.stats.past import past_moments
from kairos.values import Interval

__all__ = ["hedged_interval", "hedged_log_e_path"]

_CAP = 0.5
"""The largest share of the money that may be lost on one value."""


def hedged_interval(x: ArrayLike, *, lower: float, upper: float, alpha: float) -> Interval:
    """The running mean and its bounds after the last value, right at *all* numbers of values with chance 1 - alpha.

    For values whose expectation given the past is one steady number; a mean that moves is for ``sequence``.

    Args:
        x: Values, shape (n,), each in ``[lower, upper]``, in the order of what they measure.
        lower: Smallest possible value, known beforehand.
        upper: Largest possible value, known beforehand.
        alpha: Chance that the bounds ever miss, in (0, 1).

    Returns:
        The whole range and its middle without values.

    Examples:
        >>> found = hedged_interval([0, 1] * 500, lower=0, upper=1, alpha=0.05)
        >>> round(found.lower, 3), round(found.upper, 3)
        (0.433, 0.563)

    References:
        Waudby-Smith & Ramdas (JRSS-B 2024), Theorem 3 (hedged capital), predictable plug-in bets cut at 1/2.
    """
    check_alpha(alpha)
    u = _scaled(x, lower, upper)
    if u.size == 0:
        return Interval(estimate=(lower + upper) / 2, lower=lower, upper=upper, level=1 - alpha, unit="")
    rich = math.log(2 / alpha)
    bets = _bets(u, alpha)
    below = _last_refused(u, bets, rich)
    above = 1 - _last_refused(1 - u, bets, rich)
    scale = upper - lower
    return Interval(
        estimate=lower + scale * float(u.mean()),
        lower=lower + scale * below,
        upper=lower + scale * above,
        level=1 - alpha,
        unit="",
    )


def hedged_log_e_path(x: ArrayLike, *, null_mean: float, lower: float, upper: float, alpha: float = 0.05) -> Floats:
    """Log of the hedged money against "each expectation, given the past, is the null", after each value.

    The interval of ``hedged_interval`` holds the means at which it is below ``ln(1 / alpha)``.

    Args:
        x: Values, shape (n,) or (series, n), each in ``[lower, upper]``.
        null_mean: Strictly inside the range.
        lower: Smallest possible value.
        upper: Largest possible value.
        alpha: The chance of error for which the bets are sized.
    """
    u = (np.asarray(x, dtype=np.float64) - lower) / (upper - lower)
    m = (null_mean - lower) / (upper - lower)
    if not 0 < m < 1:
        raise UsageError("The null mean is not inside the range.", given=null_mean, accepted=f"({lower:g}, {upper:g})")
    bets = _bets(u, alpha)
    up = np.cumsum(np.log1p(np.minimum(bets, _CAP / m) * (u - m)), axis=-1)
    down = np.cumsum(np.log1p(-np.minimum(bets, _CAP / (1 - m)) * (u - m)), axis=-1)
    return np.asarray(np.maximum(up, down) - math.log(2))


def _bets(u: Floats, alpha: float) -> Floats:
    t = np.arange(1, u.shape[-1] + 1)
    return np.sqrt(2 * math.log(2 / alpha) / (past_moments(u).variance_before * t * np.log1p(t)))


def _last_refused(u: Floats, bets: Floats, rich: float) -> float:
    """The largest mean that the upward half has refuted; 0 if none."""
    refused, kept = 0.0, 1.0
    for _ in range(50):
        m = (refused + kept) / 2
        if float(np.log1p(np.minimum(bets, _CAP / m) * (u - m)).sum()) >= rich:
            refused = m
        else:
            kept = m
    return refused


def _scaled(x: ArrayLike, lower: float, upper: float) -> Floats:
    values = finite("values", x)
    check_range("values", values, lower, upper)
    return (values - lower) / (upper - lower)
