"""What became of one input: the day on which it moved, by how much, and in which way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.monitor.causes.evidence import Kind
from kairos.stats.bins import CategoryBins, NumberBins
from kairos.stats.split import split_counts
from kairos.stats.units import UnitChange, unit_change

__all__ = ["ColumnChange", "column_change", "recounted", "unit_of"]

_PROVEN = 0.001
"""Chance, at most, of calling a column moved that did not; many columns are looked at."""
_LEAST_MOVED = 0.05
"""Share of rows in other cells that is worth telling of."""
_LEAST_MISSING, _LEAST_UNSEEN = 0.02, 0.01
_MOST_LEVELS = 20
_UNIT_QUANTILES = np.arange(1, 20) / 20
_FEW_VALUES = 12
"""A number with at most as many different values is a level, of which units say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnChange:
    """One input that moved."""

    name: str
    kind: Kind
    what: str
    """Part of a sentence."""
    first: int
    """Day number of the first day after the change."""
    moved: float
    """Share of the rows that are in other cells."""
    cells: NDArray[np.int64]
    """In which cell each row is, shape (n,)."""
    is_new: NDArray[np.bool_]
    """Cells that say by themselves what is wrong: missing, unseen, out of range."""


def column_change(
    name: str, values: NDArray[Any], day: NDArray[np.int64], *, usual_until: int, bins: int = 5
) -> ColumnChange | None:
    """Looks at one input over all days; ``None`` if it did not move, or cannot be counted.

    Args:
        name: Of the input.
        values: float64 with NaN, or objects with ``None``, shape (n,).
        day: Day numbers, shape (n,).
        usual_until: Days before it say what is usual: bins are fitted on them.
        bins: Of a number, between its usual ends.
    """
    usual = day < usual_until
    counted = _counted(values, usual, bins)
    if counted is None:
        return None
    cells, is_new = counted
    days, index = np.unique(day, return_inverse=True)
    counts = np.zeros((days.size, is_new.size), dtype=np.int64)
    np.add.at(counts, (index, cells), 1)
    split = split_counts(counts, least=1)
    if split is None or split.p_value > _PROVEN or split.size < _LEAST_MOVED:
        return None
    after = day >= days[split.first]
    kind, what = _way(values, after, cells, is_new)
    return ColumnChange(
        name=name, kind=kind, what=what, first=int(days[split.first]), moved=split.size, cells=cells, is_new=is_new
    )


def recounted(
    change: ColumnChange, values: NDArray[Any], day: NDArray[np.int64], *, usual_until: int, bins: int
) -> ColumnChange:
    """The same in fewer, wider cells: several inputs together would else have more cells than rows."""
    counted = _counted(values, day < usual_until, bins)
    return change if counted is None else replace(change, cells=counted[0], is_new=counted[1])


def unit_of(before: NDArray[np.float64], after: NDArray[np.float64]) -> UnitChange | None:
    """The conversion from the one to the other, from their quantiles; NaN are left out."""
    x, y = before[np.isfinite(before)], after[np.isfinite(after)]
    if min(x.size, y.size) < 20 or min(np.unique(x).size, np.unique(y).size) <= _FEW_VALUES:
        return None
    return unit_change(np.quantile(x, _UNIT_QUANTILES), np.quantile(y, _UNIT_QUANTILES))


def _counted(
    values: NDArray[Any], usual: NDArray[np.bool_], bins: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]] | None:
    """The cell of each row, and which cells say by themselves what is wrong."""
    if values.dtype.kind == "f":
        known = values[usual & np.isfinite(values)]
        if not known.size:
            return (np.isnan(values).astype(np.int64), np.array([True, False])) if usual.any() else None
        edges = np.asarray(NumberBins.fit(known, bins=bins).edges)
        last = edges.size
        cells = np.searchsorted(edges[1:-1], values, side="left") + 1
        cells[values < edges[0]], cells[values > edges[-1]], cells[np.isnan(values)] = 0, last, last + 1
        is_new = np.zeros(last + 2, dtype=bool)
        is_new[[0, last, last + 1]] = True
        return cells.astype(np.int64), is_new
    texts = [_text(value) for value in values]
    seen = Counter(text for text, is_usual in zip(texts, usual, strict=True) if is_usual and text is not None)
    if len(seen) > max(50, usual.sum() / 5):
        return None  # nearly every row has a level of its own: a name, or somebody's words
    levels = CategoryBins.fit(seen.elements(), levels=_MOST_LEVELS).levels
    place = {level: number for number, level in enumerate(levels)}
    rare, unseen, missing = len(levels), len(levels) + 1, len(levels) + 2
    cells = np.array(
        [missing if text is None else place.get(text, rare if text in seen else unseen) for text in texts],
        dtype=np.int64,
    )
    return cells, np.array([False] * (len(levels) + 1) + [True, True])


def _way(
    values: NDArray[Any], after: NDArray[np.bool_], cells: NDArray[np.int64], is_new: NDArray[np.bool_]
) -> tuple[Kind, str]:
    """In which way a column moved; of a number first its unit, as a change of unit moves everything else, too."""
    width = is_new.size
    shares = [np.bincount(cells[part], minlength=width) / max(int(part.sum()), 1) for part in (~after, after)]
    moved = np.abs(shares[1] - shares[0]).sum() / 2
    missing = shares[1][-1] - shares[0][-1]
    if abs(missing) >= _LEAST_MISSING and abs(missing) >= moved / 2:
        if shares[1][-1] >= 0.99:
            return "schema", f"is no longer there (it was in {1 - shares[0][-1]:.0%} of the rows)"
        return "missing", f"is missing in {shares[1][-1]:.0%} of the rows (before: {shares[0][-1]:.0%})"
    if values.dtype.kind == "f":
        unit = unit_of(values[~after], values[after])
        if unit is not None:
            name = "" if unit.name is None else f" ({unit.name})"
            return "unit", f"looks like {unit.formula} of what it was{name}"
        if np.unique(values[np.isfinite(values)]).size > _FEW_VALUES:
            return "shift", f"moved: its mean is {_mean(values[after])}, and was {_mean(values[~after])}"
    unseen = 0.0 if values.dtype.kind == "f" else shares[1][-2] - shares[0][-2]
    if unseen >= _LEAST_UNSEEN and unseen >= moved / 2:
        new = Counter(str(value) for value in values[after & (cells == width - 2)])
        names = ", ".join(repr(level) for level, _ in sorted(new.items(), key=lambda item: (-item[1], item[0]))[:3])
        return "unseen", f"has levels that were never seen: {names}, in {shares[1][-2]:.0%} of the rows"
    at = int(np.argmax(shares[1] - shares[0]))
    level = next((_shown(value) for value in values[cells == at]), "missing")
    return "mix", f"has {level} in {shares[1][at]:.0%} of the rows (before: {shares[0][at]:.0%})"


def _text(value: Any) -> str | None:
    return None if value is None or value != value or value == "" else str(value)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _mean(values: NDArray[np.float64]) -> str:
    known = values[np.isfinite(values)]
    return f"{known.mean():.4g}" if known.size else "unknown"
