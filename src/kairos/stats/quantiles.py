"""Bounds for a quantile, and a test between two arms, at any number of looks: for latencies, whose mean says little.

How many values are at or below the true p-quantile is a sum with known increments, so a beta-binomial boundary says by
how many ranks the empirical quantile may ever be off. No assumption on the distribution; ties and atoms are fine.

References:
    Howard & Ramdas (Bernoulli 2022), Theorem 1(b) and section 6 (two samples).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, check_alpha, finite
from kairos.stats.boundaries import BetaBinomial, bound
from kairos.values import Interval

__all__ = ["quantile_ab_log_e", "quantile_from_counts", "quantile_interval", "quantile_ranks"]


def quantile_interval(x: ArrayLike, p: float, *, alpha: float, t_opt: float) -> Interval:
    """The p-quantile of independent values, with bounds that hold at all numbers of values with chance 1 - alpha.

    Args:
        x: Values, shape (n,), in any order.
        p: In (0, 1).
        alpha: Chance that the bounds ever miss.
        t_opt: Number of values at which they are tightest; fix it beforehand.

    Returns:
        A bound is infinite while there are too few values; without any, the estimate is NaN.

    Examples:
        >>> found = quantile_interval(range(1, 1001), 0.5, alpha=0.05, t_opt=1000)
        >>> found.lower, found.estimate, found.upper
        (453.0, 500.0, 548.0)
    """
    values = np.sort(finite("values", x))
    low, middle, high = (int(rank) for rank in quantile_ranks(values.size, p, alpha=alpha, t_opt=t_opt))
    return Interval(
        estimate=float(values[middle - 1]) if values.size else math.nan,
        lower=float(values[low - 1]) if low >= 1 else -math.inf,
        upper=float(values[high - 1]) if high <= values.size else math.inf,
        level=1 - alpha,
        unit="",
    )


def quantile_from_counts(counts: ArrayLike, edges: ArrayLike, p: float, *, alpha: float, t_opt: float) -> Interval:
    """The same from counts of cells, which add up over workers: bounds are edges of cells, the estimate an upper edge.

    Args:
        counts: Values per cell, shape (cells,), cells in rising order.
        edges: Cell i holds values above ``edges[i]`` and at most ``edges[i + 1]``; shape (cells + 1,), rising; the
            outer ones may be infinite.
        p: In (0, 1).
        alpha: Chance that the bounds ever miss.
        t_opt: Number of values at which they are tightest.
    """
    n, ends = finite("counts", counts), np.asarray(edges, dtype=np.float64)
    if ends.shape != (n.size + 1,) or np.isnan(ends).any() or (np.diff(ends) <= 0).any():
        raise ShapeMismatch(
            "Cells and edges do not fit.", given=f"{n.size} cells, {ends.size} edges", accepted="rising"
        )
    if n.size and (n.min() < 0 or (n != np.floor(n)).any()):
        raise UsageError("A cell cannot be counted.", given=f"{n.min():g}", accepted="whole numbers of 0 or more")
    up_to = np.cumsum(n)
    total = int(up_to[-1]) if n.size else 0
    low, middle, high = (int(rank) for rank in quantile_ranks(total, p, alpha=alpha, t_opt=t_opt))
    return Interval(
        estimate=float(ends[1 + int(np.searchsorted(up_to, middle))]) if total else math.nan,
        lower=float(ends[int(np.searchsorted(up_to, low))]) if low >= 1 else -math.inf,
        upper=float(ends[1 + int(np.searchsorted(up_to, high))]) if high <= total else math.inf,
        level=1 - alpha,
        unit="",
    )


def quantile_ranks(n: ArrayLike, p: float, *, alpha: float, t_opt: float) -> tuple[Floats, Floats, Floats]:
    """Ranks, counted from 1, of the lower bound, the estimate and the upper bound among n sorted values.

    A lower rank below 1, and an upper one above n, mean that there is no bound yet.
    """
    check_alpha(alpha)
    if not 0 < p < 1:
        raise UsageError("A quantile is between 0 and 1.", given=p, accepted="(0, 1)")
    t = np.asarray(n, dtype=np.float64)
    v, v_opt = t * p * (1 - p), t_opt * p * (1 - p)
    more = bound(BetaBinomial(v_opt=v_opt, g=p, h=1 - p, alpha=alpha / 2), v, alpha / 2)
    fewer = bound(BetaBinomial(v_opt=v_opt, g=1 - p, h=p, alpha=alpha / 2), v, alpha / 2)
    # a bound of all values, or none, cannot be exceeded; the slack keeps rounding from seeing it exceeded
    slack = 1e-9 * (1 + t)
    return np.ceil(t * p - fewer - slack), np.maximum(np.ceil(t * p), 1.0), np.floor(t * p + more + slack) + 1


def quantile_ab_log_e(first: ArrayLike, second: ArrayLike, p: float, *, t_opt: float, alpha: float = 0.05) -> float:
    """Log e-value against "both arms have the same p-quantile", at any number of looks; 0 or less says nothing.

    The least evidence, over all values that the common quantile could have, of the two arms together.

    Args:
        first: Values of one arm, shape (n,).
        second: Values of the other, shape (m,), independent of the first.
        p: In (0, 1).
        t_opt: Number of values per arm at which it is most powerful; fix it beforehand.
        alpha: The chance of error for which it is tuned.

    Examples:
        >>> round(math.exp(-quantile_ab_log_e(range(1000), range(100, 1100), 0.5, t_opt=100)), 5)
        0.00549
    """
    check_alpha(alpha)
    if not 0 < p < 1:
        raise UsageError("A quantile is between 0 and 1.", given=p, accepted="(0, 1)")
    arms = [np.sort(finite(name, x)) for name, x in (("first", first), ("second", second))]
    candidates = np.unique(np.concatenate(arms))
    if candidates.size == 0:
        return 0.0
    mixture = BetaBinomial(v_opt=t_opt * p * (1 - p), g=p, h=1 - p, sides=2, alpha=alpha)
    return float(sum(_arm_log_e(mixture, arm, candidates, p) for arm in arms).min())  # type: ignore[union-attr]


def _arm_log_e(mixture: BetaBinomial, arm: Floats, candidates: Floats, p: float) -> Floats:
    """Evidence of one arm against each candidate, the most favourable share of values below it being taken."""
    n = arm.size

    def log_e(share: ArrayLike) -> Floats:
        return mixture.log_e((np.asarray(share) - p) * n, p * (1 - p) * n)

    if n == 0:
        return np.zeros_like(candidates)
    least = float(optimize.minimize_scalar(lambda a: float(log_e(a)), bounds=(0.0, 1.0), method="bounded").x)
    below, up_to = (np.searchsorted(arm, candidates, side=side) / n for side in ("left", "right"))
    return log_e(np.clip(least, below, up_to))
