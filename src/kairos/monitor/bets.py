"""Bets on differences of days, or of blocks of them: proof of harm, and bounds for a mean, at any number of days.

Values x are cut below at ``-scale``. Against "their mean is at most m" each of four stakes plays every value:

    wealth = product of (1 + theta (x - m) / (m + scale)),  theta = 0.1, 0.3, 0.6, 0.95

and the wealth of the four together, with half of the money on the boldest, is the e-value. That the stakes never learn
has a reason. Let mu be each value's expectation given the past. Since ``1 + z <= exp(z)``, each wealth times
``exp(-theta sum(mu - m) / (m + scale))`` is a supermartingale. So the chance is at most alpha that the e-value reaches
``1 / alpha`` on *any* day on which the average of mu so far is at most m, even if mu was above m on single days. A
bettor who learns proves less: that m was exceeded at some time. And unlike bounds that rest on the variance, these
prove a difference about as large as the scale within days. Wealth is a product, so the order of the values does not
matter, and logs of wealth of several workers add up.

Whatever the cut takes away is given back: m is raised by its average, so that no great gain hides behind the cut while
small losses are counted.

References:
    Ville (1939); Waudby-Smith & Ramdas (JRSS-B 2024), section 4, for mixtures of constant bets.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_log_e", "mean_lower", "mean_upper"]

_STAKES = np.array([0.1, 0.3, 0.6, 0.95])
_LOG_MONEY = np.log([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def mean_log_e(x: NDArray[np.float64], *, scale: float, null_mean: float = 0.0) -> float:
    """Natural log of the e-value against "the mean of the values is at most the null".

    Args:
        x: Values in order of time, shape (n,); below ``-scale`` they are cut. There is no limit above.
        scale: Known beforehand, above 0.
        null_mean: Above ``-scale``.

    Examples:
        >>> round(mean_log_e(np.array([2.0, 2.0, 2.0]), scale=1.0), 2)
        2.7
        >>> mean_log_e(np.array([0.2] * 30 + [-6.0]), scale=1.0) < 0
        True
    """
    cut = np.maximum(x, -scale)
    given_back = float((cut - x).mean()) if x.size else 0.0
    return _wealth_log_e(cut, scale, null_mean + given_back)


def mean_lower(x: NDArray[np.float64], *, scale: float, alpha: float) -> float:
    """A bound that the average expectation so far is above, at all days together with chance ``1 - alpha``.

    What was cut off below is given back: the bound is lowered by its average, so that no disaster hides behind the cut.

    Args:
        x: Values in order of time, shape (n,).
        scale: Known beforehand, above 0.
        alpha: Chance of error, in (0, 1).

    Examples:
        >>> round(mean_lower(np.full(6, 35.0), scale=40.0, alpha=0.05), 1)
        0.7
        >>> mean_lower(np.empty(0), scale=40.0, alpha=0.05)
        -inf
    """
    if x.size == 0:
        return -math.inf
    cut = np.maximum(x, -scale)
    refused, kept = -scale, float(cut.mean())  # wealth against the mean itself is at most 1; against -scale, endless
    for _ in range(60):
        middle = (refused + kept) / 2
        if middle > -scale and _wealth_log_e(cut, scale, middle) < math.log(1 / alpha):
            kept = middle
        else:
            refused = middle
    return refused - float((cut - x).mean())


def mean_upper(x: NDArray[np.float64], *, scale: float, alpha: float) -> float:
    """The mirror image of ``mean_lower``, for values that are cut above at ``scale``.

    >>> round(mean_upper(np.full(6, -35.0), scale=40.0, alpha=0.05), 1)
    -0.7
    """
    return -mean_lower(-x, scale=scale, alpha=alpha)


def _wealth_log_e(cut: NDArray[np.float64], scale: float, null_mean: float) -> float:
    gains = (cut - null_mean) / (null_mean + scale)
    wealth = _LOG_MONEY + np.log1p(_STAKES[:, np.newaxis] * gains).sum(axis=1)
    return float(np.logaddexp.reduce(wealth))
