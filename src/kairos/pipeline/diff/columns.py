"""Facts about the columns of a table that passes by in batches, and a sample to compare distributions on."""

from __future__ import annotations

import math
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from kairos.pipeline.diff.result import Bound, ColumnFacts
from kairos.stats.arrays import Ints
from kairos.stats.bins import NumberBins
from kairos.stats.distances import distance_test
from kairos.stats.moments import Moments
from kairos.values import Distance

__all__ = ["SAMPLED", "ColumnTally", "moved"]

SAMPLED = 100_000
"""Rows on which distances rest, at most twice as many."""

_LEVELS = 50


class ColumnTally:
    """What is known of a table's columns so far.

    Args:
        schema: Names and types.
        seed: Of the sample.
    """

    def __init__(self, schema: pl.Schema, *, seed: int = 0) -> None:
        self._schema, self._seed = schema, seed
        self._facts = {name: _Column() for name in schema}
        self._sample: list[pl.DataFrame] = []
        self._share = 1.0
        self.rows = 0

    def add(self, batch: pl.DataFrame) -> None:
        """Counts a batch."""
        self.rows += batch.height
        asked = [expression for name, kind in self._schema.items() for expression in _asked(name, kind)]
        told = batch.select(asked).row(0, named=True)
        for name in self._schema:
            self._facts[name].add(batch.height, {k[0]: told[k + name] for k in _KEYS if k + name in told})
        self._seed += 1
        taken = batch if self._share == 1.0 else batch.sample(fraction=self._share, seed=self._seed)
        self._sample.append(taken)
        while sum(each.height for each in self._sample) > 2 * SAMPLED:  # each row has the same chance all the time
            self._share /= 2
            self._seed += 1
            self._sample = [pl.concat(self._sample).sample(fraction=0.5, seed=self._seed)]

    def facts(self, name: str) -> ColumnFacts | None:
        """What a column was like; ``None`` if the table has none of that name."""
        return self._facts[name].facts(str(self._schema[name])) if name in self._schema else None

    def sample(self, name: str) -> pl.Series:
        """Some of its values."""
        if not self._sample:
            return pl.Series(name, [], dtype=self._schema[name])
        return pl.concat(each.select(name) for each in self._sample).to_series()

    @property
    def sampled(self) -> int:
        """Rows in the sample."""
        return sum(each.height for each in self._sample)


class _Column:
    """What is known of one column; it adds up over batches."""

    def __init__(self) -> None:
        self.missing, self.moments = 0, Moments()
        self.least: Any = None
        self.most: Any = None

    def add(self, rows: int, told: dict[str, Any]) -> None:
        self.missing += told["n"]
        if told.get("l") is not None:
            self.least = told["l"] if self.least is None else min(self.least, told["l"])
            self.most = told["m"] if self.most is None else max(self.most, told["m"])
        count = rows - told["n"]
        if told.get("a") is not None and count:
            self.moments += Moments(n=count, mean=told["a"], m2=told["v"] * count)

    def facts(self, kind: str) -> ColumnFacts:
        has_mean = self.moments.n > 0
        return ColumnFacts(
            type=kind,
            missing=self.missing,
            mean=self.moments.mean if has_mean else None,
            sd=math.sqrt(self.moments.m2 / self.moments.n) if has_mean and self.moments.m2 >= 0 else None,
            least=_bound(self.least),
            most=_bound(self.most),
        )


def _bound(value: Any) -> Bound:
    """A number, or a time as ISO text, in the zone of its column and without one if that has none."""
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return str(value) if isinstance(value, timedelta) else float(value) if isinstance(value, Decimal) else value


_KEYS = ("n:", "a:", "v:", "l:", "m:")


def _asked(name: str, kind: pl.DataType) -> list[pl.Expr]:
    """Expressions called by what they tell: n missing, a mean, v variance, l least, m most."""
    column = pl.col(name)
    if kind.is_float():
        known, missing = column.fill_nan(None), column.is_null().sum() + column.is_nan().sum()
    else:
        known, missing = column, column.null_count()
    told = [missing.alias(f"n:{name}")]
    if kind.is_numeric() or kind == pl.Boolean:
        number = known.cast(pl.Float64)
        told += [number.mean().alias(f"a:{name}"), number.var(ddof=0).alias(f"v:{name}")]
    if kind.is_numeric() or kind.is_temporal():
        told += [known.min().alias(f"l:{name}"), known.max().alias(f"m:{name}")]
    return told


def moved(before: pl.Series, after: pl.Series, *, tolerated: float = 0.1) -> tuple[Distance | None, bool]:
    """The Jensen-Shannon distance of two columns, and whether it is proven to be above what is tolerated.

    Numbers and times are counted in bins cut at the quantiles of the earlier version, all else by its most
    frequent values; missing ones have a cell. No distance where a side has no rows, or types that cannot be compared.
    """
    if not len(before) or not len(after):
        return None, False
    numbers = [_numbers(each) for each in (before, after)]
    if numbers[0] is not None and numbers[1] is not None:
        if not np.isfinite(numbers[0]).any():
            return None, False
        bins = NumberBins.fit(numbers[0])
        counts = bins.counts(numbers[0]), bins.counts(numbers[1])
    elif numbers[0] is None and numbers[1] is None and not before.dtype.is_nested() and not after.dtype.is_nested():
        counts = _levels(before, after)
    else:
        return None, False
    found = distance_test("jensen_shannon", *counts, eps=tolerated, resamples=199)
    return found.distance, found.alarm


def _levels(before: pl.Series, after: pl.Series) -> tuple[Ints, Ints]:
    """Rows by the most frequent values of the earlier version, all others together, missing ones together."""
    seen = [
        dict(each.cast(pl.String, strict=False).value_counts(name="rows").iter_rows())  # quicker than value by value
        for each in (before, after)
    ]
    missing = [each.pop(None, 0) for each in seen]
    levels = sorted(seen[0], key=lambda level: (-seen[0][level], level))[:_LEVELS]
    found = []
    for counts, gone in zip(seen, missing, strict=True):
        kept = [counts.get(level, 0) for level in levels]
        found.append(np.array([*kept, sum(counts.values()) - sum(kept), gone], dtype=np.int64))
    return found[0], found[1]


def _numbers(column: pl.Series) -> np.ndarray[Any, Any] | None:
    if column.dtype.is_temporal():
        column = column.to_physical()
    if not column.dtype.is_numeric():
        return None
    return column.cast(pl.Float64).to_numpy()
