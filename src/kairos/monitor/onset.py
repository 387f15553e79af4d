"""Since when are answers off? What was before must not be mixed with what is now: it hides that the ranking holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kairos.stats.split import split_means

__all__ = ["biased_since"]

_LEAST_DAYS = 3
"""On either side of the day on which it began."""
_PROVEN = 0.01
"""Chance, at most, of taking for a beginning what is none; rough, as neighbouring days resemble each other."""


def biased_since(error: NDArray[np.float64], days: NDArray[np.int64]) -> int | None:
    """The day on which the mean error became another one.

    Args:
        error: Prediction minus label, shape (n,).
        days: Number of the day of each row, shape (n,).

    Returns:
        ``None`` if it was alike all the time, or too few days are known.

    Examples:
        >>> days = np.repeat(np.arange(12), 10)
        >>> biased_since(np.where(days < 7, 0.0, 30.0) + np.tile([-1.0, 1.0], 60), days)
        7
    """
    known, index = np.unique(days, return_inverse=True)
    if known.size < 2 * _LEAST_DAYS:
        return None
    means = np.bincount(index, weights=error) / np.bincount(index)
    split = split_means(means, least=_LEAST_DAYS)
    return None if split is None or split.p_value > _PROVEN else int(known[split.first])
