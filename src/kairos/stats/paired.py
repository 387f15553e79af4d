"""The mean difference of two models' losses on the same rows, with bounds that respect dependence between rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from kairos.errors import UsageError
from kairos.stats.arrays import check_alpha, pair
from kairos.stats.comparison import Comparison, differing, from_spread, t_quantile, unknown
from kairos.stats.dependence import INDEPENDENT, Dependence, spread
from kairos.stats.tango import tango_interval

__all__ = ["paired_mean", "paired_zero_one"]


def paired_mean(
    champion: ArrayLike,
    challenger: ArrayLike,
    *,
    alpha: float,
    dependence: Dependence = INDEPENDENT,
    own: bool = True,
) -> Comparison:
    """Compares two models' mean losses on the same rows, at one look.

    A t interval on the per-row differences, whose standard error respects how rows depend on each other.

    Args:
        champion: Loss of the champion per row, shape (n,), lower is better.
        challenger: Loss of the challenger on the same rows, shape (n,).
        alpha: Chance of error of *each* bound, in (0, 1); both together miss with chance at most ``2 alpha``.
        dependence: Of the rows.
        own: Whether the challenger's own mean gets bounds, which takes as long again.

    Returns:
        ``champion - challenger`` with its bounds, in the loss's unit.

    Raises:
        ShapeMismatch: the arrays are not paired.
        UsageError: a loss is not finite, or alpha is not in (0, 1).

    Examples:
        >>> p = paired_mean([3.0, 5.0, 4.0, 6.0], [2.0, 3.0, 4.0, 4.0], alpha=0.05)
        >>> round(p.difference, 3), round(p.lower, 3), round(p.upper, 3)
        (1.25, 0.123, 2.377)
    """
    check_alpha(alpha)
    a, b = pair("champion losses", champion, "challenger losses", challenger)
    if a.size == 0:
        return unknown(math.nan, math.nan, math.nan, n=0, dependence=dependence.name)
    difference = a - b
    return from_spread(
        float(a.mean()),
        float(b.mean()),
        float(difference.mean()),
        spread(difference, dependence),
        alpha=alpha,
        n=a.size,
        discordant=differing(a, b),
        method="t",
        dependence=dependence.name,
        own=spread(b, dependence) if own else None,
    )


def paired_zero_one(champion: ArrayLike, challenger: ArrayLike, *, alpha: float) -> Comparison:
    """Compares two models' right-or-wrong losses on the same, independent rows, at one look.

    Tango's score bounds: where few rows differ, a t interval is far too sure of itself. ``se`` is what the bounds
    imply, so that it is not 0 when no row differs. The challenger's own rate has Clopper and Pearson's bounds.

    Args:
        champion: 0 or 1 per row, shape (n,); 1 is wrong.
        challenger: The same rows.
        alpha: Chance of error of each bound, in (0, 0.5).

    Returns:
        The share of rows that are newly right less that of those newly wrong, with its bounds.

    Raises:
        ShapeMismatch: the arrays are not paired.
        UsageError: a loss is neither 0 nor 1, or alpha is not in (0, 0.5).

    Examples:
        >>> p = paired_zero_one([1] * 12 + [0] * 88, [0] * 12 + [1] * 5 + [0] * 83, alpha=0.025)
        >>> round(p.difference, 4), round(p.lower, 4), round(p.upper, 4)
        (0.07, -0.0119, 0.1574)

    References:
        Tango (1998), Statistics in Medicine 17; Clopper & Pearson (1934), Biometrika 26.
    """
    if not 0.0 < alpha < 0.5:
        raise UsageError("alpha is not a chance of error of a bound.", given=alpha, accepted="a number in (0, 0.5)")
    a, b = pair("champion losses", champion, "challenger losses", challenger)
    if not np.isin(np.concatenate([a, b]), (0.0, 1.0)).all():
        raise UsageError("A loss is neither right nor wrong.", accepted="0 (right) or 1 (wrong)")
    n = a.size
    if n == 0:
        return unknown(math.nan, math.nan, math.nan, n=0, method="tango")
    gained, lost, wrong = int((a > b).sum()), int((a < b).sum()), int(b.sum())
    lower, upper = tango_interval(gained, lost, n, alpha)
    return Comparison(
        n=n,
        champion=float(a.mean()),
        challenger=float(b.mean()),
        difference=(gained - lost) / n,
        lower=lower,
        upper=upper,
        se=(upper - lower) / (2 * t_quantile(1 - alpha, math.inf)),
        df=math.inf,
        design_effect=1.0,
        block_length=1.0,
        discordant=gained + lost,
        method="tango",
        own_lower=float(special.betaincinv(wrong, n - wrong + 1, alpha)) if wrong else 0.0,
        own_upper=float(special.betaincinv(wrong + 1, n - wrong, 1 - alpha)) if wrong < n else 1.0,
    )
