"""How wrong the order of a list is, from 0 to 1. A row here is a list; its numbers are those of the list's rows.

Rows that have the same score are in no order: what is computed is the mean over all orders that the scores allow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch, UsageError

__all__ = ["MOST_RELEVANT", "ndcg", "pairwise_error"]

MOST_RELEVANT = 31
"""Largest relevance: a row of it counts 2 to this power."""

Floats = NDArray[np.float64]


def ndcg(truth: NDArray[np.generic], prediction: NDArray[np.generic], *, first: int) -> Floats:
    """One minus the normalised discounted cumulative gain of the first rows.

    The gain of a row is ``2^relevance - 1``, its discount ``1 / log2(1 + its place)``. The mean over the orders of rows
    with equal scores is exact: each counts the mean gain of them all. A list without any relevant row has loss 0.

    Args:
        truth: Relevance, shape (lists, rows), from 0 to 31; NaN behind the end of a shorter list.
        prediction: Scores, same shape; what stands behind the end of a list is not looked at.
        first: How many places count.

    Examples:
        >>> ndcg(np.array([[1.0, 0.0], [1.0, np.nan]]), np.array([[0.2, 0.9], [0.5, 0.0]]), first=10).round(3).tolist()
        [0.369, 0.0]

    References:
        Järvelin & Kekäläinen (2002); McSherry & Najork (2008) for equal scores.
    """
    y, s, known = _lists(truth, prediction)
    if y.size == 0:
        return np.zeros(len(y))
    gain = np.where(known, 2.0 ** np.where(known, y, 0.0) - 1.0, 0.0)
    discount = np.zeros(y.shape[1])
    discount[:first] = 1.0 / np.log2(np.arange(2, min(first, y.shape[1]) + 2))
    score = np.where(known, s, -np.inf)
    order = np.argsort(-score, axis=1, kind="stable")
    ordered = _mean_of_equal(np.take_along_axis(gain, order, axis=1), np.take_along_axis(score, order, axis=1))
    found = (ordered * discount).sum(axis=1)
    best = (-np.sort(-gain, axis=1) * discount).sum(axis=1)
    return np.where(best > 0, np.clip(1.0 - found / np.where(best > 0, best, 1.0), 0.0, 1.0), 0.0)


def pairwise_error(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> Floats:
    """The share of a list's pairs, of rows that are not equally relevant, which stand in the wrong order.

    Pairs with equal scores count as half; a list without such pairs has loss 0.

    Examples:
        >>> pairwise_error(np.array([[2.0, 1.0, 0.0]]), np.array([[0.5, 0.9, 0.1]])).round(3).tolist()
        [0.333]
    """
    y, s, known = _lists(truth, prediction)
    found = np.zeros(len(y))
    for row, (own, score, here) in enumerate(zip(y, s, known, strict=True)):
        relevance, said = own[here], score[here]
        above = relevance[:, None] > relevance
        pairs = int(above.sum())
        if pairs:
            gap = said[:, None] - said
            found[row] = (above * ((gap < 0) + 0.5 * (gap == 0))).sum() / pairs
    return found


def _lists(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    y, s = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if y.ndim != 2 or y.shape != s.shape:
        raise ShapeMismatch(
            "Relevance and scores are not paired by list.",
            given=f"{y.shape} and {s.shape}",
            accepted="the same shape, (lists, rows)",
        )
    known = ~np.isnan(y)
    if y.size and (y[known].min(initial=0.0) < 0 or y[known].max(initial=0.0) > MOST_RELEVANT):
        raise UsageError("An order cannot be judged.", accepted=f"a relevance from 0 to {MOST_RELEVANT}")
    return y, s, known


def _mean_of_equal(gain: Floats, score: Floats) -> Floats:
    """Each row's gain as the mean of those with its score; rows stand in the order of their scores."""
    new = np.ones(score.shape, dtype=np.bool_)
    new[:, 1:] = score[:, 1:] != score[:, :-1]
    block = np.cumsum(new.ravel()) - 1
    mean = np.bincount(block, weights=gain.ravel()) / np.bincount(block)
    return np.asarray(mean[block].reshape(gain.shape))
