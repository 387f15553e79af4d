"""The difference of two models' root mean squared errors on the same rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from kairos.stats.arrays import Floats, check_alpha, pair
from kairos.stats.comparison import Comparison, differing, from_spread, unknown
from kairos.stats.dependence import INDEPENDENT, Dependence, spread

__all__ = ["paired_rmse"]


def paired_rmse(
    champion: ArrayLike, challenger: ArrayLike, *, alpha: float, dependence: Dependence = INDEPENDENT
) -> Comparison:
    """Compares two models' root mean squared errors, at one look.

    The delta method on the two means of squared errors: row i moves the difference by
    ``(a_i^2 - MSE_A) / (2 RMSE_A) - (b_i^2 - MSE_B) / (2 RMSE_B)``, over n.

    Args:
        champion: Error of the champion per row, ``prediction - truth``, shape (n,).
        challenger: Error of the challenger on the same rows, shape (n,).
        alpha: Chance of error of each bound, in (0, 1).
        dependence: Of the rows.

    Returns:
        ``champion - challenger`` with its bounds, in the target's unit.

    Raises:
        ShapeMismatch: the arrays are not paired.
        UsageError: an error is not finite, or alpha is not in (0, 1).

    Examples:
        >>> p = paired_rmse([3.0, -4.0, 5.0, -2.0], [1.0, -2.0, 3.0, -2.0], alpha=0.05)
        >>> round(p.champion, 4), round(p.challenger, 4), round(p.difference, 4)
        (3.6742, 2.1213, 1.5529)
    """
    check_alpha(alpha)
    a, b = pair("champion errors", champion, "challenger errors", challenger)
    if a.size == 0:
        return unknown(math.nan, math.nan, math.nan, n=0, method="delta", dependence=dependence.name)
    (root_a, moves_a), (root_b, moves_b) = _rmse(a), _rmse(b)
    return from_spread(
        root_a,
        root_b,
        root_a - root_b,
        spread(moves_a - moves_b, dependence),
        alpha=alpha,
        n=a.size,
        discordant=differing(np.abs(a), np.abs(b)),
        method="delta",
        dependence=dependence.name,
        own=spread(moves_b, dependence),
    )


def _rmse(errors: Floats) -> tuple[float, Floats]:
    """The root mean squared error, and how far each row moves it, times n."""
    squares = errors**2
    mean = float(squares.mean())
    root = math.sqrt(mean)
    return root, (squares - mean) / (2 * root) if root > 0 else np.zeros_like(errors)
