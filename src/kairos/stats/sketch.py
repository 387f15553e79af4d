"""Quantiles of many values in a few numbers that can be put together: what parts tell is true of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import UsageError
from kairos.stats.arrays import Floats
from kairos.values import Json

__all__ = ["CELLS", "QuantileSketch"]

CELLS = 25
"""Cells of equal numbers of values that a sketch has, unless it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileSketch:
    """Cuts between cells that hold equally many values each, more or less.

    **What is promised.** Let F(x) be the share of the values that are at most x. Then ``share(x)`` differs from F(x) by
    at most ``error``, at any x. The proof is short. Of values themselves, cut i lies where F first reaches i/k, so
    between two cuts F is in [i/k, (i + 1)/k] but for one value. Shares of several sketches add up, weighted by their
    rows, and so do their errors: merging itself costs nothing. Cutting that sum anew costs one cell more, 1/k.
    """

    rows: int
    """Values it tells about; those that are not finite are left out."""
    cuts: tuple[float, ...] = ()
    """k + 1 numbers, ascending; the first is at most the smallest value, the last at least the largest. They are the
    shortest numbers that part the values so, and need not be any value. None: there are no rows."""
    error: float = 0.0
    """Largest difference between ``share`` and the truth, as a share of the rows."""

    @classmethod
    def fit(cls, values: ArrayLike, *, cells: int = CELLS) -> QuantileSketch:
        """Of values, exact but for their place within a cell.

        Args:
            values: Shape (n,), in any order.
            cells: Of more cells there is less error and more to keep.

        Examples:
            >>> sketch = QuantileSketch.fit(range(1, 1001), cells=10)
            >>> sketch.quantile(0.5), sketch.share(100.0), round(sketch.error, 3)
            (500.0, 0.1, 0.101)
        """
        numbers = np.asarray(values, dtype=np.float64).ravel()
        return cls.of_sorted(np.sort(numbers[np.isfinite(numbers)]), cells=cells)

    @classmethod
    def of_sorted(cls, values: Floats, *, cells: int = CELLS) -> QuantileSketch:
        """The same of finite values that ascend."""
        n = values.size
        if not n:
            return cls(rows=0)
        ranks = -(-np.arange(1, cells + 1) * n // cells)  # of the value at which a share of i/k is reached
        ends = np.append(values, values[-1])
        inner = [_shortest(float(values[rank - 1]), float(ends[rank])) for rank in ranks[:-1].tolist()]
        low, high = float(values[0]), float(values[-1])
        room = (high - low) / 100 or abs(high) / 1e6
        first, last = -_shortest(-low, -low + room), _shortest(high, high + room)
        return cls(rows=int(n), cuts=(first, *inner, last), error=1 / cells + 1 / n)

    @classmethod
    def merge(cls, parts: Sequence[QuantileSketch], *, cells: int = CELLS) -> QuantileSketch:
        """Of the values of all parts together. Merge all at once: each time costs another ``1 / cells``."""
        held = [part for part in parts if part.rows]
        if len(held) < 2:
            return held[0] if held else cls(rows=0)
        rows = sum(part.rows for part in held)
        places = np.unique(np.concatenate([part.cuts for part in held]))
        below = sum(part.rows * part._shares(places, side="left") for part in held) / rows
        upto = sum(part.rows * part._shares(places, side="right") for part in held) / rows
        x, y = np.repeat(places, 2), np.column_stack([below, upto]).ravel()
        wanted = np.arange(1, cells) / cells
        at = np.clip(np.searchsorted(y, wanted), 1, y.size - 1)
        width = np.where(y[at] > y[at - 1], y[at] - y[at - 1], 1.0)
        inner = x[at - 1] + np.clip((wanted - y[at - 1]) / width, 0.0, 1.0) * (x[at] - x[at - 1])
        error = sum(part.rows * part.error for part in held) / rows + 1 / cells
        return cls(rows=rows, cuts=(float(x[0]), *np.maximum.accumulate(inner).tolist(), float(x[-1])), error=error)

    def share(self, x: float) -> float:
        """The share of the values that are at most ``x``, off by at most ``error``."""
        if not self.rows:
            raise UsageError("A sketch of no values tells no share.")
        return float(self._shares(np.array([x]), side="right")[0])

    def quantile(self, share: float) -> float:
        """A number at which about this share of the values is reached.

        Raises:
            UsageError: the share is not between 0 and 1, or there are no values.
        """
        if not self.rows or not 0 <= share <= 1:
            raise UsageError(
                "A sketch cannot tell this quantile.", given=share, accepted="a share of one value or more"
            )
        return float(np.interp(share, np.arange(len(self.cuts)) / (len(self.cuts) - 1), self.cuts))

    @classmethod
    def from_plain(cls, value: Json) -> QuantileSketch:
        """Reads what ``plain`` of ``values`` wrote."""
        return cls(rows=value["rows"], cuts=tuple(value["cuts"]), error=value["error"])

    def _shares(self, x: Floats, *, side: str) -> Floats:
        """The share at each place, shape of ``x``; with ``left`` what it comes to just below."""
        cuts = np.array(self.cuts)
        last = cuts.size - 1
        cell = np.searchsorted(cuts, x, side="right" if side == "right" else "left") - 1
        inside = np.clip(cell, 0, last - 1)
        low, high = cuts[inside], cuts[inside + 1]
        part = np.divide(np.clip(x, low, high) - low, high - low, out=np.ones_like(x), where=high > low)
        found = (inside + part) / last
        return np.where(cell < 0, 0.0, np.where(cell >= last, 1.0, found))


def _shortest(low: float, high: float) -> float:
    """The number of fewest digits in [low, high); ``low`` itself if no other is there.

    >>> _shortest(0.123456, 0.1239), _shortest(-3.7, 12.0), _shortest(5.0, 5.0)
    (0.1235, 0.0, 5.0)
    """
    if low <= 0.0 < high:
        return 0.0
    for digits in range(17):
        text = f"{low:.{digits}e}"
        near = float(text)
        for found in (near, near + 10.0 ** (int(text.partition("e")[2]) - digits)):
            short = float(f"{found:.{digits}e}")
            if low <= short < high:
                return short
    return low
