"""Bounds for a steady mean in closed form: empirical Bernstein, and Hoeffding as its variance-blind ancestor.

Each value is weighed by a bet that the past chose; the bounds are a weighted mean plus and minus what the bets cost.
Narrower than Hoeffding wherever the spread is below the possible one; ``hedged`` is narrower still and costs a search.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from kairos.stats.arrays import Floats, check_alpha, check_range, finite_series
from kairos.stats.past import past_moments

__all__ = ["bernstein_path", "bernstein_upper", "hoeffding_path"]

_CAP = 0.5
"""The largest bet, on the scale where the range has length 1."""


def bernstein_path(
    x: ArrayLike,
    *,
    lower: float,
    upper: float,
    alpha: float,
    centre: Literal["regularised", "plain"] = "regularised",
) -> tuple[Floats, Floats, Floats]:
    """The running mean and bounds that hold at *all* numbers of values with chance 1 - alpha; shapes as the values.

    For values whose expectation given the past is one steady number; they need not be independent. A mean that moves is
    for ``sequence``. Not intersected over time: the caller may do that.

    Args:
        x: Values, shape (n,) or (series, n), each in ``[lower, upper]``, in the order of what they measure.
        lower: Smallest possible value, known beforehand.
        upper: Largest possible value, known beforehand.
        alpha: Chance that the bounds ever miss, in (0, 1).
        centre: From what the spread of a value is measured: ``regularised`` is the mean before it, begun at the middle,
            as in the paper; ``plain`` is that of the values alone, begun at the end each bound looks away from.

    Raises:
        UsageError: a value is outside the range or not finite.

    References:
        Waudby-Smith & Ramdas (JRSS-B 2024), Theorem 2, with predictable plug-in bets.
    """
    u = _scaled(x, lower, upper, alpha)
    t = np.arange(1, u.shape[-1] + 1)
    past = past_moments(u)
    bets = np.minimum(np.sqrt(2 * math.log(2 / alpha) / (past.variance_before * t * np.log1p(t))), _CAP)
    cost = -np.log1p(-bets) - bets
    centres = past.mean_before if centre == "regularised" else None
    below = _reach(u, bets, cost, alpha / 2, centres)
    above = 1 - _reach(1 - u, bets, cost, alpha / 2, None if centres is None else 1 - centres)
    return _unscaled(u, below, above, lower, upper)


def bernstein_upper(x: ArrayLike, *, lower: float, upper: float, alpha: float) -> float:
    """A bound that the mean is below with chance ``1 - alpha``: at *one* look, at a number of values fixed beforehand.

    Exact for every distribution in the range, also for few and rare values. Without values it is ``upper``.

    >>> round(bernstein_upper([0.0] * 95 + [1.0] * 5, lower=0, upper=1, alpha=0.05), 3)
    0.133

    References:
        Waudby-Smith & Ramdas (JRSS-B 2024), Theorem 2 with bets for a fixed number of values.
    """
    u = _scaled(x, lower, upper, alpha)
    if u.size == 0:
        return upper
    past = past_moments(1 - u)
    bets = np.minimum(np.sqrt(2 * math.log(1 / alpha) / (past.variance_before * u.size)), 0.75)
    reach = _reach(1 - u, bets, -np.log1p(-bets) - bets, alpha, past.mean_before)
    return lower + (upper - lower) * min(1.0, 1 - float(reach[-1]))


def hoeffding_path(x: ArrayLike, *, lower: float, upper: float, alpha: float) -> tuple[Floats, Floats, Floats]:
    """The same as ``bernstein_path`` without a look at the spread: what is known from the range alone.

    References:
        Waudby-Smith & Ramdas (JRSS-B 2024), Theorem 1, predictable plug-in Hoeffding.
    """
    u = _scaled(x, lower, upper, alpha)
    t = np.arange(1, u.shape[-1] + 1)
    bets = np.minimum(np.sqrt(8 * math.log(2 / alpha) / (t * np.log1p(t))), 1.0)
    total = np.cumsum(bets)
    reach = (math.log(2 / alpha) + np.cumsum(bets**2 / 8)) / total
    middle = np.cumsum(bets * u, axis=-1) / total
    return _unscaled(u, middle - reach, middle + reach, lower, upper)


def _reach(u: Floats, bets: Floats, cost: Floats, alpha: float, centres: Floats | None) -> Floats:
    """Lower bounds of the mean of ``u``, one-sided at ``alpha``."""
    if centres is None:
        centres = np.zeros_like(u)
        centres[..., 1:] = np.cumsum(u, axis=-1)[..., :-1] / np.arange(1, u.shape[-1])
    won, paid = np.cumsum(bets * u, axis=-1), np.cumsum((u - centres) ** 2 * cost, axis=-1)
    return np.asarray((won - paid - math.log(1 / alpha)) / np.cumsum(bets, axis=-1))


def _scaled(x: ArrayLike, lower: float, upper: float, alpha: float) -> Floats:
    check_alpha(alpha)
    values = finite_series("values", x)
    check_range("values", values, lower, upper)
    return (values - lower) / (upper - lower)


def _unscaled(u: Floats, below: Floats, above: Floats, lower: float, upper: float) -> tuple[Floats, Floats, Floats]:
    mean = np.cumsum(u, axis=-1) / np.arange(1, u.shape[-1] + 1)
    both = (np.clip(each, 0.0, 1.0) for each in (mean, below, above))
    scaled_mean, scaled_below, scaled_above = (lower + (upper - lower) * each for each in both)
    return scaled_mean, scaled_below, scaled_above
