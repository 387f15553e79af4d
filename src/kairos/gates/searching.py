"""Searching the inputs for parts of the rows where a challenger got worse: told, never a reason to stop it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.gates.evidence import FoundSlice, Search
from kairos.gates.losses import loss_named
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows, texts
from kairos.stats.holm import benjamini_hochberg
from kairos.stats.paired import paired_mean

__all__ = ["search_slices"]

_RATE = 0.1
"""Of the slices that are told, at most this share is expected to be there by chance."""
_MOST_LEVELS = 12
_PARTS = 4
_MIN_ROWS = 30
_MOST_TOLD = 5


def search_slices(rows: GateRows, policy: GatePolicy, against: NDArray[Any]) -> Search:
    """Looks at each level of each input, or at a quarter of its numbers, by the model's loss.

    A slice is told if it is worse by more than the margin; of those told, at most one in ten is expected to be so by
    chance (Benjamini and Hochberg). One input at a time: no combinations.
    """
    if not policy.discover or rows.n < 2 * _MIN_ROWS:
        return Search()
    loss = loss_named(policy.loss)
    mine, theirs = loss(rows.truth, rows.challenger), loss(rows.truth, against)
    dependence = rows.dependence
    found = []
    for name, mask in _parts(rows):
        tie = dependence.part(mask)
        one = paired_mean(theirs[mask], mine[mask], alpha=policy.alpha, dependence=tie, own=False)
        margin = policy.margin.resolve(one.champion) if policy.metric is None else 0.0
        found.append((one.p_below(-margin), name, one))
    adjusted = benjamini_hochberg([p for p, _, _ in found])
    told = sorted(
        (FoundSlice(name=name, p=float(p), comparison=one)
         for p, (_, name, one) in zip(adjusted.tolist(), found, strict=True) if p <= _RATE),
        key=lambda slice_: (slice_.p, slice_.name),
    )  # fmt: skip
    return Search(searched=len(found), found=tuple(told[:_MOST_TOLD]))


def _parts(rows: GateRows) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Parts of at least 30 rows that are not all rows, with their names."""
    for column in sorted(rows.inputs):
        for name, mask in _levels_or_quarters(column, rows.inputs[column]):
            if _MIN_ROWS <= int(mask.sum()) < rows.n:
                yield name, mask


def _levels_or_quarters(column: str, values: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    is_number = values.dtype.kind in "iuf"
    distinct = np.unique(values) if is_number else np.unique(texts(values))
    if distinct.size <= _MOST_LEVELS:
        names = values if is_number else texts(values)
        for level in distinct.tolist():
            is_missing = isinstance(level, float) and np.isnan(level)
            yield (
                (f"{column}={level:g}" if is_number else f"{column}={level}"),
                (np.isnan(values) if is_missing else names == level),
            )
    elif is_number:
        known = values[np.isfinite(values)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _PARTS + 1))) if known.size else known
        for low, high in pairwise(edges.tolist()):
            is_last = high == edges[-1]
            inside = (values >= low) & ((values <= high) if is_last else (values < high))
            yield f"{column} from {low:.4g} to {high:.4g}", inside
