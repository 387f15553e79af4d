"""Fixed bins of a reference, so that live histograms are plain counters that add up over workers and time."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, Ints

__all__ = ["CategoryBins", "NumberBins"]

_FEW = 12
"""A number with at most this many distinct values gets a bin for each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberBins:
    """Bins of a number: below the reference's range, its quantile bins, above its range, missing.

    Bin ``i`` holds ``edges[i] < x <= edges[i + 1]``; the first one also holds its lower edge. The cells of ``counts``
    are ``[below, bin 0, ..., bin K-1, above, missing]``, K + 3 in all.
    """

    edges: tuple[float, ...]
    """K + 1 edges; the first and the last are the reference's smallest and largest value."""

    @classmethod
    def fit(cls, reference: ArrayLike, *, bins: int = 10) -> NumberBins:
        """Cuts at the reference's quantiles; NaN counts as missing, infinite values are left out.

        Ties make fewer bins, never empty ones; few distinct values get one bin each.

        Raises:
            UsageError: the reference has no finite value.
        """
        values = np.asarray(reference, dtype=np.float64).ravel()
        return cls.of_sorted(np.sort(values[np.isfinite(values)]), bins=bins)

    @classmethod
    def of_sorted(cls, values: Floats, *, bins: int = 10) -> NumberBins:
        """The same of finite values that ascend.

        Raises:
            UsageError: there is none.
        """
        if values.size == 0:
            raise UsageError("Bins need a reference with at least one finite value.", given="none")
        distinct = values[np.append(True, np.diff(values) > 0)]
        low, high = distinct[0], distinct[-1]
        if distinct.size <= _FEW:
            inner = distinct[:-1] + np.diff(distinct) / 2
        else:
            cuts = np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf")
            cuts[cuts == high] = distinct[-2]  # a tie at the top is a bin of its own
            inner = np.unique(cuts)
        return cls(edges=(float(low), *(float(x) for x in inner), float(high)))

    @property
    def cells(self) -> tuple[str, ...]:
        """A name for each cell of ``counts``, for people."""
        e = [f"{x:g}" for x in self.edges]
        return (
            f"below {e[0]}",
            *(f"{a} to {b}" for a, b in itertools.pairwise(e)),
            f"above {e[-1]}",
            "missing",
        )

    def counts(self, x: ArrayLike) -> Ints:
        """How many values fall in each cell, shape (K + 3,), int64. Counts of parts add up to counts of the whole."""
        values: Floats = np.asarray(x, dtype=np.float64).ravel()
        last = len(self.edges)
        missing = np.isnan(values)
        index = np.searchsorted(np.asarray(self.edges[1:-1]), values, side="left") + 1
        index[values < self.edges[0]] = 0
        index[values > self.edges[-1]] = last
        index[missing] = last + 1
        return np.bincount(index, minlength=last + 2).astype(np.int64)

    def counts_of_sorted(self, values: Floats, *, missing: int) -> Ints:
        """The same of values that ascend, none of them NaN, in much less time; and of so many that are missing."""
        first = np.searchsorted(values, self.edges[0], side="left")
        upto = np.searchsorted(values, self.edges[1:], side="right")
        ends = np.concatenate([[0, first], np.maximum(upto, first), [values.size]])
        return np.append(np.diff(ends), missing).astype(np.int64)

    def fold(self, counts: ArrayLike) -> Ints:
        """Adds "below" to the first bin and "above" to the last, shape (K + 1,): the cells that PSI compares.

        The reference never has a value outside its own range, so these two cells would weigh without limit in PSI.
        """
        c: Ints = np.asarray(counts, dtype=np.int64)
        _check_shape(c, len(self.edges) + 2)
        inner = c[1:-2].copy()
        inner[0] += c[0]
        inner[-1] += c[-2]
        return np.append(inner, c[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryBins:
    """Bins of a category: its most frequent levels, all others together, missing.

    Levels are text; other values are written as text first (``True`` as ``true``). Missing is ``None``, NaN or ``""``.
    """

    levels: tuple[str, ...]
    """The most frequent levels of the reference, most frequent first, ties by name."""

    @classmethod
    def fit(cls, reference: Iterable[object], *, levels: int = 50, fewest: int = 1) -> CategoryBins:
        """Keeps the ``levels`` most frequent levels of the reference that at least ``fewest`` values have."""
        seen = {name: count for name, count in _tallied(reference).items() if name is not None}
        kept = [name for name in seen if seen[name] >= fewest]
        return cls(levels=tuple(sorted(kept, key=lambda name: (-seen[name], name))[:levels]))

    @property
    def cells(self) -> tuple[str, ...]:
        """A name for each cell of ``counts``, for people."""
        return (*self.levels, "other", "missing")

    def counts(self, x: Iterable[object]) -> Ints:
        """How many values fall in each cell, shape (levels + 2,), int64."""
        place = {name: i for i, name in enumerate(self.levels)}
        out = np.zeros(len(self.levels) + 2, dtype=np.int64)
        for value, count in _tallied(x).items():
            out[-1 if value is None else place.get(value, len(self.levels))] += count
        return out

    def fold(self, counts: ArrayLike) -> Ints:
        """The cells that PSI compares: all of them."""
        c: Ints = np.asarray(counts, dtype=np.int64)
        _check_shape(c, len(self.levels) + 2)
        return c


def _tallied(values: Iterable[object]) -> Counter[str | None]:
    """How many values are of each level, or missing."""
    held = values.tolist() if isinstance(values, np.ndarray) else list(values)
    is_plain = all(kind is str or kind is type(None) for kind in set(map(type, held)))
    if not is_plain:
        return Counter(map(_level, held))  # to count values as they are would take 1 for True
    seen = Counter(held)
    missing = seen.pop(None, 0) + seen.pop("", 0)
    return seen + Counter({None: missing})


def _level(value: object) -> str | None:
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return str(value)


def _check_shape(counts: Ints, cells: int) -> None:
    if counts.shape != (cells,):
        raise ShapeMismatch("The counts are not of these bins.", given=f"shape {counts.shape}", accepted=f"({cells},)")
