"""How many requests come at the peak, and how irregularly? From counts per minute or second, which add up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, finite

__all__ = ["Peak", "dispersion", "peak_rate"]

_MIN_WINDOWS = 30
"""Fewer windows say too little about how much their counts vary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The rate to plan for."""

    rate_per_s: float
    """Requests per second: the upper bound, grown by what is expected to come."""
    measured_per_s: float
    """The quantile as it was measured, without bound and growth."""
    bound: Literal["rank", "poisson"]
    """``rank``: a minute that was seen bounds the quantile; ``poisson``: too few minutes were, and the busiest one's
    own uncertainty stands in."""


def peak_rate(per_minute: ArrayLike, *, quantile: float = 0.99, growth: float = 0.0, alpha: float = 0.05) -> Peak:
    """The rate that a share ``quantile`` of the busy minutes does not exceed, as an upper bound, with growth.

    Give the minutes of the busiest hour of many days. Assumes that they are alike; minutes of one rush resemble each
    other, so take several days.

    Args:
        per_minute: Requests of each minute, shape (n,), 0 or more.
        quantile: Of the minutes, in (0, 1).
        growth: Expected growth, as a share: 0.2 for a fifth more; above -1.
        alpha: Chance that the true quantile is above the bound (before growth), in (0, 1).

    Examples:
        >>> round(peak_rate(np.full(600, 120.0)).rate_per_s, 2)
        2.0

    References:
        The bound is an order statistic, by the binomial distribution of minutes below the quantile; for a Poisson
        count, Garwood (1936).
    """
    check_alpha(alpha)
    minutes = np.sort(_counts("requests per minute", per_minute))
    if not 0 < quantile < 1 or not growth > -1:
        raise UsageError("A peak cannot be told.", given=f"quantile {quantile!r}, growth {growth!r}")
    n = minutes.size
    ranks = np.arange(1, n + 1)
    enough = np.flatnonzero(special.bdtr(ranks - 1, n, quantile) >= 1 - alpha)  # P(fewer than rank lie below it)
    measured = float(np.quantile(minutes, quantile, method="inverted_cdf"))
    if enough.size:
        bound, how = float(minutes[enough[0]]), "rank"
    else:
        bound, how = float(special.gammaincinv(minutes[-1] + 1, 1 - alpha)), "poisson"
    return Peak(
        rate_per_s=bound * (1 + growth) / 60,
        measured_per_s=measured / 60,
        bound="rank" if how == "rank" else "poisson",
    )


def dispersion(counts: ArrayLike, *, longest: int = 100) -> float:
    """How irregularly requests come: the largest variance of a window's count over its mean, 0 or more; 1 if random.

    Short windows hide bursts and long ones are few, so windows of 1, 2, 4, … base windows are looked at, while there
    are 30 of them. The largest one is taken, which errs on the side of waiting.

    Args:
        counts: Requests in successive short windows of one busy stretch, shape (n,); a window of about ten service
            times is a good one.
        longest: The longest window looked at, in base windows.

    Examples:
        >>> dispersion([3.0] * 120)
        0.0
        >>> round(dispersion([0.0, 8.0] * 60), 1)
        4.0

    References:
        Cox & Lewis (1966), the index of dispersion for counts.
    """
    x = _counts("requests per window", counts)
    if x.size < _MIN_WINDOWS:
        raise UsageError(
            "Too few windows to tell how irregularly requests come.", given=x.size, accepted=f"{_MIN_WINDOWS} or more"
        )
    found, size = 0.0, 1
    while size <= longest and x.size // size >= _MIN_WINDOWS:
        sums = x[: x.size // size * size].reshape(-1, size).sum(axis=1)
        if sums.mean() > 0:
            found = max(found, float(sums.var(ddof=1) / sums.mean()))
        size *= 2
    return found


def _counts(name: str, x: ArrayLike) -> Floats:
    values = finite(name, x)
    if not values.size or values.min() < 0 or not math.isfinite(values.sum()):
        raise UsageError(
            f"{name} are not counts.", given=f"{values.size} values", accepted="at least one, each 0 or more"
        )
    return values
