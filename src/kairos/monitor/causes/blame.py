"""How much of the rise does each moved input account for? Shift-share over their cells, Shapley over the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kairos.monitor.causes.columns import ColumnChange
from kairos.stats.mix import shapley, shift_share
from kairos.values import Interval

__all__ = ["Blame", "blame"]

_RESAMPLES = 200
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blame:
    """A rise of a mean, parted. Shares sum to 1; days were drawn anew for the intervals."""

    before: float
    after: float
    shares: dict[str, Interval]
    """Of each input, because rows are in other cells of it."""
    rest: Interval
    """Because rows of the same cells became worse."""


def blame(
    columns: Sequence[ColumnChange],
    *,
    value: Floats,
    day: NDArray[np.int64],
    first: int,
    level: float = 0.95,
    seed: int = 0,
) -> Blame:
    """Parts the rise of the mean from the days before ``first`` to those from it on.

    Args:
        columns: Inputs that moved, few of them.
        value: The symptom of each row, shape (n,).
        day: Day numbers, shape (n,).
        first: The first day of the rise.
        level: Of the intervals.
        seed: Of the drawing of days.
    """
    is_after = day >= first
    before, after = float(value[~is_after].mean()), float(value[is_after].mean())
    draws = [_draws(np.unique(day[part]).size, seed + number) for number, part in enumerate((~is_after, is_after))]
    names = [column.name for column in columns]
    worth: dict[frozenset[str], Floats] = {frozenset(): np.zeros(_RESAMPLES + 1)}
    total = np.full(_RESAMPLES + 1, after - before)
    for size in range(1, len(columns) + 1):
        for group in combinations(columns, size):
            cells, is_new = _joint(group)
            periods = []
            for part, weights in zip((~is_after, is_after), draws, strict=True):
                periods += [weights @ table for table in _tables(cells[part], value[part], day[part], is_new.size)]
            found = shift_share(*periods, is_new=is_new)
            worth[frozenset(column.name for column in group)] = found.mix
            total = found.total
    parts = shapley(names, worth)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = {name: _interval(part / total, level) for name, part in parts.items()}
        rest = _interval(1 - sum(parts.values(), np.zeros_like(total)) / total, level)
    return Blame(before=before, after=after, shares=shares, rest=rest)


def _joint(group: Sequence[ColumnChange]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Cells of several inputs together, as far as they occur; new if one of them is."""
    code, fresh = np.zeros(len(group[0].cells), dtype=np.int64), np.zeros(len(group[0].cells), dtype=bool)
    for column in group:
        code = code * column.is_new.size + column.cells
        fresh |= column.is_new[column.cells]
    _, first, cells = np.unique(code, return_index=True, return_inverse=True)
    return cells.astype(np.int64), fresh[first]


def _tables(cells: NDArray[np.int64], value: Floats, day: NDArray[np.int64], width: int) -> tuple[Floats, Floats]:
    """Rows, and sums of the values, per day and cell."""
    days, index = np.unique(day, return_inverse=True)
    place = index * width + cells
    rows = np.bincount(place, minlength=days.size * width).astype(np.float64)
    sums = np.bincount(place, weights=value, minlength=days.size * width)
    return rows.reshape(days.size, width), sums.astype(np.float64).reshape(days.size, width)


def _draws(days: int, seed: int) -> Floats:
    """How often each day counts: all once, then drawn anew; shape (1 + resamples, days)."""
    drawn = np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), size=_RESAMPLES)
    return np.vstack([np.ones(days), drawn]).astype(np.float64)


def _interval(values: Floats, level: float) -> Interval:
    """The first value, with the range of the others."""
    estimate, drawn = float(values[0]), values[1:][np.isfinite(values[1:])]
    if not drawn.size:
        return Interval(estimate=estimate, lower=-np.inf, upper=np.inf, level=level)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate=estimate, lower=min(float(low), estimate), upper=max(float(high), estimate), level=level)
