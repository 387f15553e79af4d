"""Labelled rows as whole days, or as blocks of days: what a sequential test may take as one observation.

Errors of a time series differ by hour of day and neighbouring hours err alike, so single rows are no fair observations
for a sequential test; whole days nearly are, and so are parts of a day where the days before show it. Days are in the
order of *prediction*, not of arrival, so several workers, restarts and replays see the same days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.blocks import independent_blocks

__all__ = ["Days", "block_means", "daily_means", "day_number", "day_start", "join_days"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Means over finished UTC days, or over blocks of them, in order of time."""

    means: NDArray[np.float64]
    """Mean of the values of each day or block, shape (n,); a thin day is part of the next entry."""
    rows: NDArray[np.int64]
    """Rows behind each mean, shape (n,)."""
    ends: tuple[datetime, ...]
    """End of the last day behind each mean, aware UTC, length n."""
    waiting: int
    """Rows of days that are not finished, not mature, or still too thin."""


def daily_means(
    at: NDArray[np.datetime64],
    values: NDArray[np.float64],
    *,
    mature_until: datetime,
    min_rows: int = 5,
) -> Days:
    """Averages values by UTC day of prediction; only days that end by ``mature_until`` count.

    Args:
        at: Time of each prediction, UTC without zone, shape (n,), in any order.
        values: One value per prediction, shape (n,), finite.
        mature_until: Aware; days that end later wait.
        min_rows: A day with fewer rows is joined with the days after it until there are enough.

    Raises:
        ShapeMismatch: times and values are not paired.
        UsageError: a value is not finite.

    Examples:
        >>> hours = np.datetime64("2012-01-01T00", "us") + np.arange(48) * np.timedelta64(3600, "s")
        >>> days = daily_means(hours, np.arange(48.0), mature_until=datetime(2012, 1, 3, tzinfo=UTC))
        >>> days.means.tolist(), days.rows.tolist()
        ([11.5, 35.5], [24, 24])
    """
    values = _paired_with_times(at, values)
    numbers = at.astype("datetime64[D]").astype(np.int64)
    mature = numbers < day_number(mature_until)
    days, index = np.unique(numbers[mature], return_inverse=True)
    rows = np.bincount(index, minlength=days.size)
    sums = np.bincount(index, weights=values[mature], minlength=days.size)
    joined = join_days(days.tolist(), rows.tolist(), sums.tolist(), min_rows=min_rows)
    return replace(joined, waiting=int((~mature).sum()) + joined.waiting)


def block_means(
    at: NDArray[np.datetime64],
    values: NDArray[np.float64],
    *,
    scale: float,
    mature_until: datetime,
    min_rows: int = 5,
) -> Days:
    """Averages values over blocks that are nearly independent: days at first, later as short as earlier days allow.

    All blocks of a day count at its end. See ``kairos.stats.blocks``.

    Args:
        at: Time of each prediction, UTC without zone, shape (n,), in any order.
        values: One value per prediction, shape (n,), finite.
        scale: Blocks further than this from their mean are wild, in the unit of the values, above 0.
        mature_until: Aware; days that end later wait.
        min_rows: A day with fewer rows is joined with the days after it until there are enough.

    Raises:
        ShapeMismatch: times and values are not paired.
        UsageError: a value is not finite.

    Examples:
        >>> hours = np.datetime64("2012-01-01T00", "us") + np.arange(8 * 24) * np.timedelta64(3600, "s")
        >>> noise = np.random.default_rng(0).normal(size=8 * 24)
        >>> blocks = block_means(hours, noise, scale=1.0, mature_until=datetime(2012, 1, 9, tzinfo=UTC))
        >>> blocks.rows.tolist()
        [24, 24, 24, 12, 12, 12, 12, 24, 6, 6, 6, 6, 6, 6, 6, 6]
    """
    values = _paired_with_times(at, values)
    order = np.lexsort((values, at))  # equal times: the same order whoever hands the rows on
    numbers = at[order].astype("datetime64[D]").astype(np.int64)
    mature = numbers < day_number(mature_until)
    found, rows = np.unique(numbers[mature], return_counts=True)
    joined, carried = [], 0
    for count in rows.tolist():
        carried += count
        joined.append(carried >= min_rows)
        carried = 0 if joined[-1] else carried
    last = np.flatnonzero(joined)
    kept = int(last[-1]) + 1 if last.size else 0
    # a thin day bears the number of the day that it is joined with
    as_day = np.repeat(found[last[np.searchsorted(last, np.arange(kept))]], rows[:kept])
    blocks = independent_blocks(values[order][: as_day.size], as_day, scale=scale)
    return Days(
        means=blocks.means,
        rows=blocks.rows,
        ends=tuple(day_start(day + 1) for day in blocks.days.tolist()),
        waiting=values.size - as_day.size + blocks.waiting,
    )


def join_days(days: Sequence[int], rows: Sequence[int], sums: Sequence[float], *, min_rows: int = 5) -> Days:
    """The same from sums of whole days that were added up before.

    Args:
        days: Numbers of mature days, as ``day_number`` gives them, in order.
        rows: Values of each day.
        sums: Sum of the values of each day.
        min_rows: A day with fewer values is joined with the days after it until there are enough.

    Examples:
        >>> join_days([0, 1, 2], [4, 4, 5], [8.0, 0.0, 10.0]).means.tolist()
        [1.0, 2.0]
    """
    means, counts, ends = [], [], []
    carried_rows, carried_sum = 0, 0.0
    for day, day_rows, day_sum in zip(days, rows, sums, strict=True):
        carried_rows, carried_sum = carried_rows + day_rows, carried_sum + day_sum
        if carried_rows >= min_rows:
            means.append(carried_sum / carried_rows)
            counts.append(carried_rows)
            ends.append(day_start(day + 1))
            carried_rows, carried_sum = 0, 0.0
    return Days(
        means=np.asarray(means, dtype=np.float64),
        rows=np.asarray(counts, dtype=np.int64),
        ends=tuple(ends),
        waiting=carried_rows,
    )


def _paired_with_times(at: NDArray[np.datetime64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if at.shape != values.shape or values.ndim != 1:
        raise ShapeMismatch("Times and values are not paired.", given=f"shapes {at.shape} and {values.shape}")
    if not np.isfinite(values).all():
        raise UsageError("A day's mean needs finite values.", given=f"{int((~np.isfinite(values)).sum())} not finite")
    return values


def day_number(moment: datetime) -> int:
    """Whole UTC days from 1970-01-01 to a moment: the day it falls on.

    >>> day_number(datetime(1970, 1, 2, 23, tzinfo=UTC))
    1
    """
    return (moment - _EPOCH) // timedelta(days=1)


def day_start(number: int) -> datetime:
    """When the day of that number begins, aware UTC."""
    return _EPOCH + timedelta(days=number)
