"""Betting against "the mean is at most m": the quicker test when harm at *some* time is the claim."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_range, finite

__all__ = ["betting_log_e", "betting_path"]

_CAP = 0.5
"""The largest share of the capital that may be lost on one value."""


def betting_log_e(
    x: ArrayLike, *, null_mean: float, lower: float, upper: float, side: Literal["greater", "less"] = "greater"
) -> float:
    """Log e-value after the last value; 0 without values. See ``betting_path``.

    >>> round(betting_log_e([1.0] * 20, null_mean=0.5, lower=0.0, upper=1.0), 3)
    7.704
    """
    path = betting_path(x, null_mean=null_mean, lower=lower, upper=upper, side=side)
    return float(path[-1]) if path.size else 0.0


def betting_path(
    x: ArrayLike, *, null_mean: float, lower: float, upper: float, side: Literal["greater", "less"] = "greater"
) -> Floats:
    """Log e-value after each value, shape (n,), against "each value's expectation given the past is at most the null".

    Reject when it ever reaches ``ln(1 / alpha)``; the chance of that under the null is at most alpha, whatever the
    number of looks. The bets learn from the past (aGRAPA), so the value depends on the order: that of what was
    measured.

    Args:
        x: Values, shape (n,), each in ``[lower, upper]``.
        null_mean: The largest (``greater``) or smallest (``less``) harmless mean, strictly inside the range.
        lower: Smallest possible value, known beforehand.
        upper: Largest possible value, known beforehand.
        side: ``greater`` gathers evidence that the mean is above ``null_mean``, ``less`` that it is below.

    Raises:
        UsageError: a value is outside the range, or the null is not strictly inside it.

    References:
        Waudby-Smith & Ramdas (JRSS-B 2024), one-sided capital process with aGRAPA bets cut at 1/2.
    """
    values = finite("values", x)
    check_range("values", values, lower, upper)
    if not lower < null_mean < upper:
        raise UsageError("The null mean is not inside the range.", given=null_mean, accepted=f"({lower:g}, {upper:g})")
    u = (values - lower) / (upper - lower)
    m = (null_mean - lower) / (upper - lower)
    if side == "less":
        u, m = 1.0 - u, 1.0 - m
    return np.cumsum(np.log1p(_bets(u, m) * (u - m)))


def _bets(u: Floats, m: float) -> Floats:
    """The bet on each value, from the values before it; means and variances start at 1/2 and 1/4."""
    t = np.arange(1, u.size + 1)
    mean = (0.5 + np.cumsum(u)) / (t + 1)
    variance = (0.25 + np.cumsum((u - mean) ** 2)) / (t + 1)
    before = np.concatenate([[0.5], mean[:-1]])[: u.size] - m
    spread = np.concatenate([[0.25], variance[:-1]])[: u.size]
    return np.clip(before / (spread + before**2), 0.0, _CAP / m)
