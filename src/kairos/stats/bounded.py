"""The mean of a bounded number from few rows: bounds that hold for any number of rows and any shape."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, check_range, finite, pair
from kairos.stats.comparison import Comparison, differing, from_curve, unknown
from kairos.stats.dependence import spread

__all__ = ["betting_lower", "paired_bounded"]

_BOLDEST = 0.75
"""The largest part of her capital that the gambler risks on one value."""
_LOWEST = 1e-9
_GRID = 65


def betting_lower(x: ArrayLike, alpha: float) -> float:
    """What the mean of independent values in [0, 1] is above with chance ``1 - alpha``, for any n.

    A gambler bets on each value against the mean m, with what she has learnt from those before it. If the mean is m
    her capital stays below ``1 / alpha`` with chance ``1 - alpha`` (Markov); so every m at which it is higher is too
    low. The number of values is fixed beforehand.

    Args:
        x: Shape (n,), in [0, 1], in an order that does not depend on the values.
        alpha: In (0, 1).

    Examples:
        >>> round(betting_lower([1.0] * 20, 0.05), 3), betting_lower([], 0.05)
        (0.823, 0.0)

    References:
        Waudby-Smith & Ramdas (2024), section 4 and appendix on a fixed number of values.
    """
    values = finite("values", x)
    check_range("values", values, 0.0, 1.0)
    check_alpha(alpha)
    if values.size == 0:
        return 0.0
    count = np.arange(1, values.size + 1)
    means = (0.5 + values.cumsum()) / (count + 1)
    variances = (0.25 + ((values - means) ** 2).cumsum()) / (count + 1)
    before = np.r_[0.25, variances[:-1]]
    bets = np.sqrt(2 * math.log(1 / alpha) / (values.size * before))

    bar = math.log(1 / alpha)
    high = float(values.mean())
    if high <= _LOWEST:
        return 0.0
    grid = np.linspace(_LOWEST, high, _GRID)
    capital = np.log1p(np.minimum(bets, _BOLDEST / grid[:, None]) * (values - grid[:, None])).sum(axis=1)
    if capital[0] <= bar:
        return 0.0
    first = int(np.argmax(capital <= bar)) or grid.size - 1  # the lowest mean that she cannot rule out is after this

    def excess(mean: float) -> float:
        return float(np.log1p(np.minimum(bets, _BOLDEST / mean) * (values - mean)).sum()) - bar

    low, edge = float(grid[first - 1]), float(grid[first])
    return float(optimize.brentq(excess, low, edge, xtol=1e-9)) if excess(edge) < 0 else edge


def paired_bounded(champion: ArrayLike, challenger: ArrayLike, *, largest: float, alpha: float) -> Comparison:
    """Compares two models' mean losses on few independent rows, where no loss is above ``largest``.

    Args:
        champion: Loss of the champion per row, shape (n,), in [0, largest].
        challenger: Loss of the challenger on the same rows.
        largest: Possible loss, above 0; known beforehand.
        alpha: Chance of error of each bound, in (0, 1).

    Returns:
        ``champion - challenger`` with its bounds.

    Raises:
        ShapeMismatch: the arrays are not paired.
        UsageError: a loss is outside ``[0, largest]``.
    """
    a, b = pair("champion losses", champion, "challenger losses", challenger)
    if not largest > 0:
        raise UsageError("The largest possible loss is not positive.", given=largest)
    for losses in (a, b):
        check_range("losses", losses, 0.0, largest)
    n = a.size
    if n == 0:
        return unknown(math.nan, math.nan, math.nan, n=0, method="betting")
    difference = a - b
    scaled = (difference / largest + 1) / 2

    def quantile(level: float) -> float:
        return largest * (2 * _bound(scaled, level) - 1)

    return from_curve(
        float(a.mean()),
        float(b.mean()),
        float(difference.mean()),
        quantile,
        alpha=alpha,
        n=n,
        discordant=differing(a, b),
        method="betting",
        found=spread(difference),
        own=(largest * _bound(b / largest, alpha), largest * _bound(b / largest, 1 - alpha)),
    )


def _bound(x: Floats, level: float) -> float:
    """What the mean is above with chance ``1 - level``."""
    if level == 0.5:
        return float(x.mean())
    return betting_lower(x, level) if level < 0.5 else 1 - betting_lower(1 - x, 1 - level)
