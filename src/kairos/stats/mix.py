"""A mean rose: because there is more of what was always bad, or because the same became worse? Which group did it?

A shift-share decomposition. Rows are in cells: a slice, a column's bins, or several columns together. The change of the
mean is the change of the cells' shares, at their usual level (*mix*), and the change of level within cells, at their
usual shares (*within*). Simpson's paradox is a mean that rises while all cells fall.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats

__all__ = ["ShiftShare", "shapley", "shift_share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftShare:
    """``total`` is ``mix`` plus ``within``; each of shape (...), in the unit of the values."""

    total: Floats
    """Mean after, less mean before."""
    mix: Floats
    """Of it, because rows are in other cells."""
    within: Floats
    """Of it, because rows of the same cell have another mean."""


def shift_share(
    before_rows: ArrayLike,
    before_sums: ArrayLike,
    after_rows: ArrayLike,
    after_sums: ArrayLike,
    *,
    is_new: ArrayLike | None = None,
) -> ShiftShare:
    """Parts the change of a mean into mix and within.

    A cell counts at the average of its two means. Where a cell has rows on one side only, its other mean is not known:
    of a cell that says by itself what is wrong (``is_new``: missing, unseen, out of range) the mean is taken to be the
    same, so all of its rows' badness is mix; of any other it is taken to have changed as the other cells did.

    Args:
        before_rows: Rows per cell, shape (..., cells); leading axes, such as resamples, are kept.
        before_sums: Sum of the values per cell, the same shape.
        after_rows: Of the later period.
        after_sums: Of the later period.
        is_new: Which cells say what is wrong, shape (cells,); ``None``: no cell does.

    Returns:
        NaN where a period has no rows.

    Raises:
        ShapeMismatch: the shapes differ.

    Examples:
        >>> found = shift_share([90, 10], [90, 50], [50, 50], [50, 250])  # a cell of mean 5 grew; none got worse
        >>> float(found.total), float(found.mix), float(found.within)
        (1.6, 1.6, 0.0)

    References:
        Kitagawa (1955), components of a difference between two rates.
    """
    n0, s0, n1, s1 = (np.asarray(x, dtype=np.float64) for x in (before_rows, before_sums, after_rows, after_sums))
    if not n0.shape == s0.shape == n1.shape == s1.shape or n0.ndim < 1:
        raise ShapeMismatch("Rows and sums are not of the same cells.", given=f"{n0.shape}, {s0.shape}, {n1.shape}")
    fresh = np.zeros(n0.shape[-1], dtype=bool) if is_new is None else np.asarray(is_new, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        w0, w1 = n0 / n0.sum(axis=-1, keepdims=True), n1 / n1.sum(axis=-1, keepdims=True)
        m0, m1, pooled = s0 / n0, s1 / n1, (s0 + s1) / (n0 + n1)
        total = s1.sum(axis=-1) / n1.sum(axis=-1) - s0.sum(axis=-1) / n0.sum(axis=-1)
    both = (n0 > 0) & (n1 > 0)
    weight = np.where(both & ~fresh, w0 + w1, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (weight * np.where(both, m1 - m0, 0.0)).sum(axis=-1, keepdims=True) / weight.sum(axis=-1, keepdims=True)
    moved = np.nan_to_num(moved)
    level = np.where(both, (m0 + m1) / 2, np.where(n1 > 0, m1 - moved / 2, m0 + moved / 2))
    level = np.where(fresh, pooled, level)
    level = np.where((n0 > 0) | (n1 > 0), level, 0.0)
    mix = ((w1 - w0) * level).sum(axis=-1)
    return ShiftShare(total=np.asarray(total), mix=np.asarray(mix), within=np.asarray(total - mix))


def shapley(players: Sequence[str], worth: Mapping[frozenset[str], ArrayLike]) -> dict[str, Floats]:
    """What each of a few players brings, averaged over all orders in which they may come.

    Parts sum to the worth of all together; players that bring the same get the same.

    Args:
        players: At most eight.
        worth: Of each set of them, the empty one included; numbers, or arrays of one shape.

    Examples:
        >>> worth = {frozenset(): 0.0, frozenset("a"): 1.0, frozenset("b"): 2.0, frozenset("ab"): 4.0}
        >>> {name: float(part) for name, part in shapley("ab", worth).items()}
        {'a': 1.5, 'b': 2.5}

    References:
        Shapley (1953).
    """
    if len(set(players)) != len(players) or len(players) > 8:
        raise UsageError("Players are few, and each is there once.", given=list(players), accepted="at most 8")
    found: dict[str, Floats] = {}
    for player in players:
        others, part = [other for other in players if other != player], np.asarray(0.0)
        for size in range(len(others) + 1):
            chance = 1 / (len(players) * math.comb(len(others), size))
            for group in map(frozenset, combinations(others, size)):
                part = part + chance * (np.asarray(worth[group | {player}]) - np.asarray(worth[group]))
        found[player] = np.asarray(part, dtype=np.float64)
    return found
