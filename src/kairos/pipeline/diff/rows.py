"""The rows of two parts compared: by key, or as a whole and as often as they occur."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from kairos.pipeline.diff.result import Example, RowCounts
from kairos.pipeline.diff.shape import Shape

__all__ = ["Compared", "compare_rows"]

_SIDE, _AFTER = "__kairos_side", "__kairos_after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What differs between the rows of two parts."""

    rows: RowCounts
    changed: Mapping[str, int] = field(default_factory=dict)
    """Rows of the same key, by the column that differs."""
    examples: tuple[Example, ...] = ()


def compare_rows(before: pl.DataFrame, after: pl.DataFrame, shape: Shape, *, examples: int = 0) -> Compared:
    """Compares all rows that can be each other's.

    Missing values are equal to each other, and NaN to NaN. Of rows whose key comes more than once on either
    side nobody can say which is which; they are compared as a whole.

    Args:
        before: Rows of the earlier version, in the columns and types of ``shape``.
        after: Rows of the later one.
        shape: What is compared.
        examples: How many rows of each kind are shown, at most.
    """
    if not shape.key:
        return _as_a_whole(before, after, examples)
    key = list(shape.key)
    repeated = _repeated(before, after, key)
    if not repeated.height:
        return _by_key(before, after, key, shape.values, examples)
    (again, alone), (again_after, alone_after) = (
        [table.join(repeated, on=key, how=how, nulls_equal=True) for how in ("semi", "anti")]
        for table in (before, after)
    )
    counted = _by_key(alone, alone_after, key, shape.values, examples)
    whole = _as_a_whole(again, again_after, examples)
    marked = RowCounts(repeated_before=again.height, repeated_after=again_after.height)
    return Compared(
        rows=counted.rows + whole.rows + marked,
        changed=counted.changed,
        examples=counted.examples + whole.examples,
    )


def _repeated(before: pl.DataFrame, after: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Keys that come more than once on one side."""
    found = []
    for table in (before, after):
        names = table.select(key)
        is_unique = (names.to_series() if len(key) == 1 else names.to_struct()).n_unique() == names.height
        found.append(names.clear() if is_unique else names.filter(names.is_duplicated()))
    return pl.concat(found).unique()


def _by_key(before: pl.DataFrame, after: pl.DataFrame, key: list[str], values: list[str], examples: int) -> Compared:
    pairs = before.join(after, on=key, how="inner", nulls_equal=True, suffix=_AFTER)
    differs = {name: pl.col(name).ne_missing(pl.col(name + _AFTER)) for name in values}
    any_differs = pl.any_horizontal(*differs.values()) if differs else pl.lit(value=False)
    counts = pairs.select(
        pl.len().alias(_SIDE),
        any_differs.sum().alias(_AFTER),
        *(each.sum().alias(name) for name, each in differs.items()),
    ).row(0, named=True)
    both, changed = counts.pop(_SIDE), counts.pop(_AFTER)
    rows = RowCounts(added=after.height - both, removed=before.height - both, changed=changed, unchanged=both - changed)
    shown: list[Example] = []
    if examples and (rows.added or rows.removed or rows.changed):
        for how, one, other in (("added", after, before), ("removed", before, after)):
            alone = one.join(other, on=key, how="anti", nulls_equal=True).head(examples)
            shown += [Example(how=how, row=row) for row in alone.iter_rows(named=True)]
        shown += [_changed(row, key, values) for row in pairs.filter(any_differs).head(examples).iter_rows(named=True)]
    return Compared(rows=rows, changed=counts, examples=tuple(shown))


def _changed(row: dict[str, object], key: list[str], values: list[str]) -> Example:
    other = [name for name in values if not _are_same(row[name], row[name + _AFTER])]
    return Example(
        how="changed",
        row={name: row[name] for name in key},
        was={name: row[name] for name in other},
        now={name: row[name + _AFTER] for name in other},
    )


def _are_same(before: object, after: object) -> bool:
    return before == after or (before != before and after != after)  # NaN is like NaN here


def _as_a_whole(before: pl.DataFrame, after: pl.DataFrame, examples: int) -> Compared:
    sides = [
        table.with_columns(pl.lit(sign, dtype=pl.Int64).alias(_SIDE)) for table, sign in ((before, -1), (after, 1))
    ]
    balance = pl.concat(sides).group_by(before.columns).agg(pl.col(_SIDE).sum()).filter(pl.col(_SIDE) != 0)
    added = int(balance.filter(pl.col(_SIDE) > 0)[_SIDE].sum())
    removed = -int(balance.filter(pl.col(_SIDE) < 0)[_SIDE].sum())
    shown: list[Example] = []
    if examples:
        for how, is_it in (("added", pl.col(_SIDE) > 0), ("removed", pl.col(_SIDE) < 0)):
            some = balance.filter(is_it).drop(_SIDE).head(examples)
            shown += [Example(how=how, row=row) for row in some.iter_rows(named=True)]
    rows = RowCounts(added=added, removed=removed, unchanged=before.height - removed)
    return Compared(rows=rows, examples=tuple(shown))
