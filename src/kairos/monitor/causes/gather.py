"""Rows of the prediction log as a search for causes takes them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from kairos.monitor.causes.evidence import Rows, Symptom
from kairos.monitor.judgeable import LossOf, judgeable
from kairos.store.records import INPUT_PREFIX

__all__ = ["NEEDS_LABELS", "effect_of", "put_before", "rows_of"]

NEEDS_LABELS: frozenset[Symptom] = frozenset({"loss", "bias"})

_ROWS_A_DAY = 4000
"""Of more, every second, third, … is taken: an evenly spread sample tells shares and means well enough."""
_LEAST_PAIRS, _LEAST_DAYS = 30, 3


def rows_of(frame: pl.DataFrame, symptom: Symptom, loss_of: LossOf, *, is_low: bool = False) -> Rows:
    """Answered requests with their symptom.

    Args:
        frame: Of the prediction log, answered or not; for ``loss`` and ``bias`` with the column ``label``. A column
            ``loss`` is taken in place of what ``loss_of`` would make of a single number.
        symptom: What is looked at.
        loss_of: How wrong an answer is.
        is_low: For ``bias``: answers are too low, not too high.
    """
    rows = frame.filter("answered")
    if symptom in NEEDS_LABELS:
        rows = _usable(rows, symptom, loss_of)
    elif symptom == "output":
        rows = rows.filter(pl.col("output").is_finite())
    day = pl.col("at").dt.date()
    place, many = pl.int_range(pl.len()).over(day), (pl.len().over(day) / _ROWS_A_DAY).ceil().cast(pl.Int64)
    rows = rows.sort("at", "id").filter(place % many == 0)
    label = rows["label"].to_numpy() if "label" in rows.columns else np.full(len(rows), math.nan)
    return Rows(
        day=rows["at"].dt.epoch("d").to_numpy().astype(np.int64),
        value=_symptom(rows, symptom, loss_of, is_low),
        inputs={c.removeprefix(INPUT_PREFIX): _values(rows[c]) for c in rows.columns if c.startswith(INPUT_PREFIX)},
        output=_floats(rows["output"]),
        label=label.astype(np.float64),
    )


def put_before(usual: Rows, rows: Rows, *, days: int = 14) -> Rows:
    """Rows of a holdout, in order of time, as if they were of the days just before the others.

    Inputs that the log does not keep are left out.
    """
    end = int(rows.day.min())
    day = end - days + np.arange(usual.day.size) * days // max(usual.day.size, 1)
    names = sorted(usual.inputs.keys() & rows.inputs.keys())
    return Rows(
        day=np.concatenate([day, rows.day]),
        value=np.concatenate([usual.value, rows.value]),
        inputs={name: _stacked(usual.inputs[name], rows.inputs[name]) for name in names},
        output=np.concatenate([usual.output, rows.output]),
        label=np.concatenate([usual.label, rows.label]),
    )


def effect_of(
    frame: pl.DataFrame, old: int, new: int, symptom: Symptom, loss_of: LossOf, *, is_low: bool = False
) -> tuple[float, float, float] | None:
    """How much worse a new version is on requests that both predicted: estimate and 95 % bounds, a day being one value.

    Args:
        frame: As for ``rows_of``.
        old: Number of the version that answered before.
        new: Number of the version that answers now.
        symptom: What is looked at.
        loss_of: How wrong an answer is.
        is_low: As for ``rows_of``.

    Returns:
        ``None`` with fewer than 30 requests, or three days, that both predicted.
    """
    rows = frame.filter(pl.col("output").is_finite())
    if symptom in NEEDS_LABELS:
        rows = _usable(rows, symptom, loss_of)
    rows = rows.with_columns(symptom=pl.Series(_symptom(rows, symptom, loss_of, is_low)))
    sides = [rows.filter(pl.col("version") == one).select("id", "at", "symptom") for one in (old, new)]
    pairs = sides[0].join(sides[1].select("id", new="symptom"), on="id")
    daily = pairs.group_by(pl.col("at").dt.date()).agg((pl.col("new") - pl.col("symptom")).mean().alias("worse"))
    if len(pairs) < _LEAST_PAIRS or len(daily) < _LEAST_DAYS:
        return None
    worse = daily["worse"].to_numpy()
    mean = float(worse.mean())
    half = float(special.stdtrit(worse.size - 1, 0.975)) * float(worse.std(ddof=1)) / math.sqrt(worse.size)
    return mean, mean - half, mean + half


def _usable(rows: pl.DataFrame, symptom: Symptom, loss_of: LossOf) -> pl.DataFrame:
    """Rows whose symptom can be computed: one label that cannot be meant must not stop the search."""
    rows = rows.filter(pl.col("label").is_finite() & pl.col("output").is_finite())
    if symptom != "loss":
        return rows
    if "loss" in rows.columns:
        return rows.filter(pl.col("loss").is_finite())
    return rows.filter(pl.Series(judgeable(loss_of, _floats(rows["label"]), _floats(rows["output"])), dtype=pl.Boolean))


def _symptom(rows: pl.DataFrame, symptom: Symptom, loss_of: LossOf, is_low: bool) -> NDArray[np.float64]:
    if symptom == "impossible":
        return rows["violation"].is_not_null().to_numpy().astype(np.float64)
    output = _floats(rows["output"])
    if symptom == "output":
        return output
    if symptom == "loss" and "loss" in rows.columns:
        return _floats(rows["loss"])
    label = _floats(rows["label"])
    return loss_of(label, output) if symptom == "loss" else (label - output if is_low else output - label)


def _floats(column: pl.Series) -> NDArray[np.float64]:
    return column.cast(pl.Float64).fill_null(math.nan).to_numpy().astype(np.float64)


def _values(column: pl.Series) -> NDArray[Any]:
    """Numbers as float64 with NaN, everything else as objects with ``None``."""
    if isinstance(column.dtype, pl.List):
        column = column.list.mean()  # what stands for an array
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return _floats(column)
    return column.to_numpy().astype(object) if column.null_count() == 0 else np.array(column.to_list(), dtype=object)


def _stacked(usual: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """An input that is a number on one side and a level on the other is a level."""
    if usual.dtype.kind == values.dtype.kind:
        return np.concatenate([usual, values])
    sides = [[None if v is None or v != v else v for v in side.tolist()] for side in (usual, values)]
    return np.array([*sides[0], *sides[1]], dtype=object)
