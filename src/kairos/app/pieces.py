"""Some rows of a batch, and what a version gave for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from kairos.errors import UsageError
from kairos.models.outputs import Output, width_of
from kairos.serving.guard import OutputGuard

__all__ = ["Piece", "guarded", "kinds_of", "refuse_structures", "said", "with_json_texts"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some rows, and what the version gave for them; arrays have one item a row, or one row of several numbers."""

    frame: pl.DataFrame
    first_row: int
    """Position of the first one in the whole table."""
    raws: np.ndarray[Any, Any]
    """The model's own outputs, float64; NaN where there is none."""
    outputs: np.ndarray[Any, Any]
    """What may leave; NaN where nothing may."""
    violations: Sequence[str | None]
    actions: Sequence[str | None]
    refusals: Sequence[str | None]
    """Why the model was not asked: the column that does not fit."""


def guarded(
    guard: OutputGuard, outputs: tuple[Output, ...], raws: Array, asked: Array
) -> tuple[Array, list[str | None], list[str | None]]:
    """What may leave of each answer, why not all may, and what is done about it; rows that were not asked have none.

    It is the same guard as the server's; rows in which nothing is odd are not judged one by one.

    Args:
        guard: The model's.
        outputs: What it gives; none: one number.
        raws: Its answers, shape (n,) or (n, numbers).
        asked: Positions of the rows that it was asked about.
    """
    kept = raws.copy()
    violations: list[str | None] = [None] * len(raws)
    actions: list[str | None] = [None] * len(raws)
    table = kept if outputs else kept[:, None]
    for row in asked[_odd(guard, outputs, table[asked])].tolist():
        judged = guard.judge_all(tuple(table[row].tolist()), outputs) if outputs else guard.judge(float(kept[row]))
        kept[row] = np.nan if judged.output is None else judged.output
        violations[row], actions[row] = judged.violation, judged.action
    return kept, violations, actions


def _odd(guard: OutputGuard, outputs: tuple[Output, ...], given: Array) -> Array:
    """The rows that the guard may find something in."""
    odd = np.logical_not(np.isfinite(given).all(axis=1))
    for at, (lower, upper) in enumerate(guard.ranges(outputs)):
        if lower is not None:
            odd |= given[:, at] < lower
        if upper is not None:
            odd |= given[:, at] > upper
    return odd


def said(outputs: Sequence[Output], answers: Array) -> dict[str, pl.Series]:
    """Answers as columns, by the names that they leave by: ``prediction``, or ``prediction.NAME`` of several.

    A row whose answer may not leave has none.
    """
    if not outputs:
        return {"prediction": pl.Series(answers).fill_nan(None)}
    found: dict[str, pl.Series] = {}
    at = 0
    for output in outputs:
        own = answers[:, at : at + len(output.names)]
        at += len(output.names)
        if output.kind == "class":
            there = np.isfinite(own).all(axis=1)
            names = pl.Series(output.classes, dtype=pl.String if output.has_text else None)
            places = pl.Series(own.argmax(axis=1)).set(pl.Series(~there), None)
            found[f"prediction.{output.name}"] = names.gather(places)
        for number, name in enumerate(output.names):
            found[f"prediction.{name}"] = pl.Series(own[:, number]).fill_nan(None)
    return found


def with_json_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Lists and arrays as texts of JSON, as CSV has them; null stays null."""
    told = {
        name: pl.Series([None if cell is None else json.dumps(cell) for cell in frame[name].to_list()], dtype=pl.String)
        for name, dtype in frame.schema.items()
        if isinstance(dtype, (pl.List, pl.Array))
    }
    return frame.with_columns(**told) if told else frame


def refuse_structures(schema: pl.Schema, copied: Sequence[str]) -> None:
    """CSV has no place for structures; lists and arrays are texts of JSON in it.

    Raises:
        UsageError: a column that is to be copied holds them.
    """
    for name in copied:
        if schema[name].is_nested() and not isinstance(schema[name], (pl.List, pl.Array)):
            raise UsageError(
                f"CSV cannot hold the column {name!r}.",
                given=str(schema[name]),
                accepted="Parquet, JSON lines or Arrow",
                hint="Or type --columns with those that are to be copied.",
            )


def kinds_of(outputs: Sequence[Output]) -> dict[str, pl.DataType]:
    """The types of these columns."""
    width = width_of(outputs)
    empty = np.zeros((0, width)) if outputs else np.zeros(0)
    return {name: series.dtype for name, series in said(outputs, empty).items()}
