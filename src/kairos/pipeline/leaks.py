"""What a training table tells of the rows that its model is judged on, and of the target itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from kairos.errors import DataRefused, did_you_mean
from kairos.stats.disguises import find_disguises
from kairos.stats.leakage import find_leakage

__all__ = ["LeakFinding", "find_leaks"]

_FEWEST_COLUMNS = 4
"""Of features and target: rows with fewer may well be alike by chance."""
_SHARE = 0.01
_LOOKED_AT = 100_000
"""Rows of the training table in which features are compared with the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakFinding:
    """One way in which the model is told what it is asked for."""

    name: str
    """By which a project accepts it: ``duplicates``, ``repeats``, ``times``, ``apart:COLUMN``, ``target:COLUMN``."""
    sure: Literal["certain", "likely", "possible"]
    what: str
    """A sentence."""
    rows: int
    of: int
    """``rows`` of so many: of the holdout, or, for a feature, of the rows of training that were looked at."""
    columns: tuple[str, ...]
    advice: str


def find_leaks(
    train: pl.DataFrame,
    holdout: pl.DataFrame,
    *,
    target: str,
    features: Sequence[str],
    time: str | None = None,
    apart: Sequence[str] = (),
) -> list[LeakFinding]:
    """Looks for leakage between two tables, the surest first; none found does not mean that there is none.

    Args:
        train: What the model learns from.
        holdout: What it is judged on.
        target: What it predicts.
        features: What it predicts from.
        time: Column of both that says when a row happened.
        apart: Columns none of whose values may be on both sides, such as a customer's number.

    Raises:
        DataRefused: a column is missing on a side.
    """
    for table, side in ((train, "training table"), (holdout, "holdout")):
        for name in [target, *features, *([] if time is None else [time]), *apart]:
            if name not in table.columns:
                raise DataRefused(
                    f"Leaks cannot be looked for: the {side} has no column {name!r}.",
                    accepted=", ".join(table.columns),
                    hint=did_you_mean(name, table.columns),
                )
    found = [
        *_duplicates(train, holdout),
        *_repeats(train, holdout, [*features, target], time),
        *([] if time is None else _times(train, holdout, time)),
        *(finding for name in apart for finding in _together(train, holdout, name)),
        *_target(train, target, features),
    ]
    return sorted(found, key=lambda finding: ("certain", "likely", "possible").index(finding.sure))


def _duplicates(train: pl.DataFrame, holdout: pl.DataFrame) -> Iterator[LeakFinding]:
    common = [name for name in holdout.columns if train.schema.get(name) == holdout.schema[name]]
    rows = _shared(train, holdout, common) if len(common) > 1 else 0
    if rows:
        yield LeakFinding(
            name="duplicates",
            sure="certain",
            what=f"{rows:,} of {holdout.height:,} rows of the holdout are in the training table too, column by column.",
            rows=rows,
            of=holdout.height,
            columns=tuple(common),
            advice="Remove duplicates before the split, or keep all copies of a row on one side.",
        )


def _repeats(
    train: pl.DataFrame, holdout: pl.DataFrame, columns: Sequence[str], time: str | None
) -> Iterator[LeakFinding]:
    """Rows alike in features and target, but not in the columns beside them, such as time or a number."""
    content = [name for name in dict.fromkeys(columns) if name != time]
    beside = [
        name for name in holdout.columns if name not in content and train.schema.get(name) == holdout.schema[name]
    ]
    if len(content) < _FEWEST_COLUMNS or not beside:
        return
    if any(train.schema[name] != holdout.schema[name] for name in content):
        return
    rows = _shared(train, holdout, content) - _shared(train, holdout, [*content, *beside])
    usual = int(train.select(content).is_duplicated().sum()) / max(train.height, 1)
    share = rows / max(holdout.height, 1)
    if share < _SHARE or usual > 0.5:  # where rows are alike by their nature, it says nothing
        return
    yield LeakFinding(
        name="repeats",
        sure="likely" if share > 2 * usual + _SHARE else "possible",
        what=f"{rows:,} of {holdout.height:,} rows of the holdout have features and target of a row of training "
        f"({usual:.1%} of the rows of training have those of another one).",
        rows=rows,
        of=holdout.height,
        columns=tuple(content),
        advice="If they tell of the same thing twice, keep both on one side: split by what they share.",
    )


def _times(train: pl.DataFrame, holdout: pl.DataFrame, time: str) -> Iterator[LeakFinding]:
    if not train.height or train.schema[time] != holdout.schema[time]:
        return
    last: Any = train[time].max()
    rows = 0 if last is None else int((holdout[time] <= last).sum())
    if rows:
        yield LeakFinding(
            name="times",
            sure="likely",
            what=f"{rows:,} of {holdout.height:,} rows of the holdout are not later than the last row of training "
            f"({last}), so the model has seen what came after them.",
            rows=rows,
            of=holdout.height,
            columns=(time,),
            advice=f"Split by {time!r}: learn from the earlier rows, judge on the later ones.",
        )


def _together(train: pl.DataFrame, holdout: pl.DataFrame, name: str) -> Iterator[LeakFinding]:
    known = train.select(pl.col(name).cast(pl.String)).drop_nulls().unique()
    both = holdout.select(pl.col(name).cast(pl.String)).join(known, on=name, how="semi")
    if both.height:
        yield LeakFinding(
            name=f"apart:{name}",
            sure="certain",
            what=f"{both[name].n_unique():,} of {name!r} are on both sides: {both.height:,} of {holdout.height:,}"
            " rows of the holdout are of somebody whom the model knows.",
            rows=both.height,
            of=holdout.height,
            columns=(name,),
            advice=f"Split by {name!r}: all rows of a value on one side.",
        )


def _target(train: pl.DataFrame, target: str, features: Sequence[str]) -> Iterator[LeakFinding]:
    rows = train if train.height <= _LOOKED_AT else train.sample(_LOOKED_AT, seed=0)
    columns = {name: _array(rows[name]) for name in features if not rows.schema[name].is_nested()}
    goal = _array(rows[target])
    told: set[str] = set()
    for leak in find_leakage(columns, goal):
        told.update(leak.columns)
        is_near = leak.how.startswith("has correlation")
        said = leak.how if "=" in leak.how else f"{leak.columns[0]!r} {leak.how}"
        yield _given_away(leak.columns, "likely" if is_near else "certain", said, rows.height, rows.height)
    rest = {name: values for name, values in columns.items() if name not in told}
    for disguise in find_disguises(rest, goal):
        said = f"{disguise.column!r} {disguise.how}"
        yield _given_away((disguise.column,), disguise.sure, said, disguise.rows, rows.height)


def _given_away(
    columns: Sequence[str], sure: Literal["certain", "likely", "possible"], said: str, rows: int, of: int
) -> LeakFinding:
    them = ", ".join(map(repr, columns))
    return LeakFinding(
        name=f"target:{'+'.join(columns)}",
        sure=sure,
        what=f"The target can be read off: {said}, in {rows:,} rows.",
        rows=rows,
        of=of,
        columns=tuple(columns),
        advice=f"If no request will know {them} beforehand, leave {'it' if len(columns) == 1 else 'them'} out: "
        f"@model(..., drop={list(columns)!r}).",
    )


def _shared(train: pl.DataFrame, holdout: pl.DataFrame, columns: Sequence[str]) -> int:
    """Rows of the holdout that are in the training table, in these columns."""
    known = train.select(columns).unique()
    return holdout.select(columns).join(known, on=list(columns), how="semi", nulls_equal=True).height


def _array(column: pl.Series) -> np.ndarray[Any, Any]:
    if column.dtype.is_temporal():
        column = column.to_physical()
    if column.dtype.is_numeric():
        return column.cast(pl.Float64).to_numpy()
    if column.dtype == pl.Boolean and not column.null_count():
        return column.to_numpy()
    return np.array(column.cast(pl.String).to_list(), dtype=object)
