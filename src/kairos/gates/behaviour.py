"""How a version should behave, as plain test functions: ready-made checks for a project's own ``checks.py``.

A check is a function ``test_...(predict, rows)``: ``predict`` takes a table and gives one answer a row, as the server
would, and ``rows`` are the fresh rows of the holdout. It fails by an ``assert``, or by one of the helpers here, which
name the rows on which it failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.errors import UsageError

__all__ = ["CheckFailed", "Predict", "directional", "invariant", "monotone"]

Predict = Callable[[pl.DataFrame], NDArray[np.float64]]
"""A table with the model's columns to one answer a row, shape (n,)."""
Change = Mapping[str, Any]
"""By column: a value for all rows, or a function of the column as a Polars expression."""

_SHOWN = 3
_STEPS = 5


class CheckFailed(AssertionError):
    """A version does not behave as it should; ``rows`` are the places of the rows on which it does not."""

    def __init__(self, message: str, rows: Sequence[int]) -> None:
        super().__init__(message)
        self.rows = tuple(rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.rows))


def monotone(
    predict: Predict,
    rows: pl.DataFrame,
    column: str,
    *,
    direction: Literal["up", "down"] = "up",
    values: Sequence[float] | None = None,
    tolerance: float = 0.0,
) -> None:
    """Asserts that the answer never falls (``up``) or never rises (``down``) as a column grows, all else equal.

    Args:
        predict: As a check gets it.
        rows: As a check gets them.
        column: A column of numbers.
        direction: Of the answer.
        values: What the column is set to, growing; ``None``: five values from its smallest to its largest.
        tolerance: By how much the answer may go the wrong way, in its unit.

    Raises:
        CheckFailed: it does on some rows; the message shows the first three.
    """
    _has(rows, column)
    sign = _sign(direction)
    grid = list(values) if values is not None else _grid(rows[column])
    dtype = rows.schema[column]
    answers = np.array([predict(rows.with_columns(pl.lit(v).cast(dtype).alias(column))) for v in grid])
    steps = sign * np.diff(answers, axis=0)
    if len(grid) < 2:
        raise UsageError(f"{column!r} has only one value in these rows.", given=grid, hint="Name values.")
    is_wrong = np.asarray((steps < -tolerance).any(axis=0), dtype=np.bool_)
    at = steps.argmin(axis=0)
    verb = "falls" if direction == "up" else "rises"
    _refuse(
        is_wrong,
        f"the answer {verb} as {column} grows",
        lambda i: (
            f"{column} from {grid[at[i]]:g} to {grid[at[i] + 1]:g}: answer from {answers[at[i], i]:.4g} to "
            f"{answers[at[i] + 1, i]:.4g}"
        ),
    )


def invariant(
    predict: Predict,
    rows: pl.DataFrame,
    column: str,
    *,
    values: Sequence[Any] | None = None,
    tolerance: float = 1e-9,
) -> None:
    """Asserts that the answer does not depend on a column, all else equal.

    Args:
        predict: As a check gets it.
        rows: As a check gets them.
        column: Any column of the model.
        values: What it is set to; ``None``: each of its values, or of many numbers five.
        tolerance: By how much answers may differ, in their unit.

    Raises:
        CheckFailed: it does on some rows; the message shows the first three.
    """
    _has(rows, column)
    tried = list(values) if values is not None else _levels(rows[column])
    dtype = rows.schema[column]
    answers = np.array([predict(rows.with_columns(pl.lit(v).cast(dtype).alias(column))) for v in tried])
    low, high = answers.argmin(axis=0), answers.argmax(axis=0)
    everyone = np.arange(len(rows))
    is_wrong = np.asarray(answers[high, everyone] - answers[low, everyone] > tolerance, dtype=np.bool_)
    _refuse(
        is_wrong,
        f"the answer depends on {column}",
        lambda i: (
            f"{column}={tried[low[i]]}: {answers[low[i], i]:.4g}, {column}={tried[high[i]]}: {answers[high[i], i]:.4g}"
        ),
    )


def directional(
    predict: Predict,
    rows: pl.DataFrame,
    change: Change,
    *,
    direction: Literal["up", "down"],
    tolerance: float = 0.0,
) -> None:
    """Asserts that a change of the inputs moves no answer the wrong way.

    Args:
        predict: As a check gets it.
        rows: As a check gets them.
        change: By column a value, or a function of the column: ``{"temperature_c": lambda t: t + 10}``.
        direction: Which way answers may move.
        tolerance: By how much an answer may go the wrong way, in its unit.

    Raises:
        CheckFailed: it does on some rows; the message shows the first three.
    """
    for column in change:
        _has(rows, column)
    sign = _sign(direction)
    changed = rows.with_columns(
        (to(pl.col(column)) if callable(to) else pl.lit(to)).cast(rows.schema[column]).alias(column)
        for column, to in change.items()
    )
    before, after = np.asarray(predict(rows)), np.asarray(predict(changed))
    verb = "falls" if direction == "up" else "rises"
    _refuse(
        sign * (after - before) < -tolerance,
        f"the answer {verb} with another {' and '.join(change)}",
        lambda i: f"answer from {before[i]:.4g} to {after[i]:.4g}",
    )


def _refuse(is_wrong: NDArray[np.bool_], what: str, show: Callable[[int], str]) -> None:
    wrong = np.flatnonzero(is_wrong).tolist()
    if wrong:
        shown = "; ".join(f"row {i}: {show(i)}" for i in wrong[:_SHOWN])
        raise CheckFailed(f"{what} on {len(wrong)} of {is_wrong.size} rows: {shown}", wrong)


def _has(rows: pl.DataFrame, column: str) -> None:
    if column not in rows.columns:
        raise UsageError(f"The rows have no column {column!r}.", accepted=", ".join(rows.columns))


def _sign(direction: str) -> int:
    if direction not in ("up", "down"):
        raise UsageError("An answer goes no such way.", given=direction, accepted="up, down")
    return 1 if direction == "up" else -1


def _grid(column: pl.Series) -> list[float]:
    """Values from the smallest to the largest, as the rows have them."""
    known = np.unique(column.drop_nulls().to_numpy())
    if known.dtype.kind not in "iuf" or known.size == 0:
        raise UsageError(f"{column.name!r} holds no numbers that could grow.", hint="Name values.")
    return np.unique(np.quantile(known, np.linspace(0, 1, _STEPS), method="nearest")).tolist()  # type: ignore[no-any-return]


def _levels(column: pl.Series) -> list[Any]:
    distinct = column.drop_nulls().unique().sort().to_list()
    return distinct if not column.dtype.is_numeric() or len(distinct) <= _STEPS else _grid(column)
