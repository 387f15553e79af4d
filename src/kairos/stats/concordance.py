"""Do predictions rank the rows rightly? The share of pairs whose order they get right, with its error.

For two classes it is the area under the ROC curve. Adding a constant to predictions, or any rising change of them,
leaves it as it is: so it tells a model whose level is off from one that has lost its judgement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kairos.stats.arrays import Floats, pair

__all__ = ["Concordance", "concordance"]

_MOST_ROWS = 2_000
"""Beyond, every second, third, ... row is looked at: all pairs of this many say enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concordance:
    """The share of pairs with different truths that the predictions put in the right order."""

    value: float
    """In [0, 1], 0.5 is chance, ties count as half; NaN if all truths are the same."""
    error: float
    """Standard error; infinite if it cannot be told."""
    rows: int


def concordance(predictions: ArrayLike, truths: ArrayLike, *, blocks: ArrayLike | None = None) -> Concordance:
    """How well predictions rank rows.

    Args:
        predictions: Shape (n,).
        truths: Classes 0 and 1, or numbers, shape (n,).
        blocks: Number of the block that each row belongs to, shape (n,): rows of one block, such as a day, are alike;
            ``None``: every row is its own.

    Examples:
        >>> concordance([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]).value
        0.75

    References:
        Harrell et al. (1982); Sen (1960) for the error of a U-statistic.
    """
    p, y = pair("predictions", predictions, "truths", truths)
    block = np.arange(p.size) if blocks is None else np.asarray(blocks)
    step = math.ceil(p.size / _MOST_ROWS) if p.size else 1
    p, y, block = p[::step], y[::step], block[::step]
    order = np.sign(y[:, np.newaxis] - y)
    right = (order * np.sign(p[:, np.newaxis] - p) + np.abs(order)).sum(axis=1) / 2
    different = np.abs(order).sum(axis=1)
    pairs = float(different.sum())
    if pairs == 0:
        return Concordance(value=math.nan, error=math.inf, rows=p.size)
    value = float(right.sum()) / pairs
    return Concordance(value=value, error=_error(2 * (right - value * different) / pairs, block), rows=p.size)


def _error(influence: Floats, block: ArrayLike) -> float:
    _, index = np.unique(np.asarray(block), return_inverse=True)
    sums = np.bincount(index, weights=influence)
    if sums.size < 2:
        return math.inf
    return math.sqrt(float((sums**2).sum()) * sums.size / (sums.size - 1))
