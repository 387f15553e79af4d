"""Which numbers rise and fall together: Spearman's rank correlation of all pairs of columns, on a sample of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kairos.stats.arrays import Floats

__all__ = ["MOST_ROWS", "RankCorrelation", "rank_correlations"]

MOST_ROWS = 5_000
"""Rows that are looked at, evenly over all: a correlation of 0 then comes out within 0.03."""
_FEWEST = 30


class RankCorrelation(NamedTuple):
    """One pair."""

    one: str
    other: str
    r: float
    """In [-1, 1]; of the ranks, so that it does not matter how the numbers are scaled."""


def rank_correlations(
    columns: Mapping[str, np.ndarray[Any, Any]], *, at_least: float, most: int, with_only: str | None = None
) -> tuple[RankCorrelation, ...]:
    """The strongest pairs, the strongest first; ties by name.

    Args:
        columns: Numbers by name, each of shape (n,), NaN where missing. A pair needs 30 rows in which both are known;
            each column is centred over its own known rows.
        at_least: Weaker pairs are left out.
        most: So many pairs at most.
        with_only: Only pairs of this column with another one.

    Examples:
        >>> rank_correlations({"a": np.arange(99.0), "b": np.arange(99.0) ** 3}, at_least=0.5, most=9)
        (RankCorrelation(one='a', other='b', r=1.0),)

    References:
        Spearman (1904); ties share their mean rank.
    """
    names = [name for name in columns if name != with_only] + ([with_only] if with_only is not None else [])
    rows = len(next(iter(columns.values()), ()))
    if rows < _FEWEST or len(names) < 2:
        return ()
    chosen = np.linspace(0, rows - 1, min(rows, MOST_ROWS)).round().astype(np.int64)
    values = np.column_stack([np.asarray(columns[name][chosen], dtype=np.float64) for name in names])
    ranks, known = _ranks(values)
    squares = ranks**2
    both = known.T @ known
    scale = (squares.T @ known) * (known.T @ squares)  # each over the rows in which the other is known, too
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where((both >= _FEWEST) & (scale > 0), (ranks.T @ ranks) / np.sqrt(scale), 0.0)
    pairs = [(len(names) - 1, at) for at in range(len(names) - 1)] if with_only is not None else _pairs(r, at_least)
    found = [
        RankCorrelation(names[min(i, j)], names[max(i, j)], round(float(np.clip(r[i, j], -1, 1)), 4)) for i, j in pairs
    ]
    strong = [each for each in found if abs(each.r) >= at_least]
    return tuple(sorted(strong, key=lambda each: (-abs(each.r), each.one, each.other))[:most])


def _pairs(r: Floats, at_least: float) -> list[tuple[int, int]]:
    upper = np.argwhere(np.triu(np.abs(r) >= at_least - 1e-4, k=1))
    return [(int(i), int(j)) for i, j in upper]


def _ranks(values: Floats) -> tuple[Floats, Floats]:
    """Ranks less their mean, 0 where missing; and 1 where known. Both of the shape of ``values``."""
    known = ~np.isnan(values)
    ranks = np.zeros_like(values)
    for at in range(values.shape[1]):
        kept = known[:, at]
        _, place, counts = np.unique(values[kept, at], return_inverse=True, return_counts=True)
        own = (np.cumsum(counts) - (counts - 1) / 2)[place]
        ranks[kept, at] = own - own.mean() if own.size else own
    return ranks, known.astype(np.float64)
