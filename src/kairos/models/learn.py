"""Which rows a model learns from: the training table as the pipeline gives it, cut, weighted, or with newer rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from kairos.errors import DataRefused
from kairos.models.frames import column_names, frame_kind, read_moments, select
from kairos.models.training import training_table

__all__ = ["Learn", "join_tables", "learn_from", "prepared", "row_weights", "takes_weights", "with_truth", "younger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learn:
    """How a training table is changed before a model step learns from it."""

    days: float | None = None
    """Rows older than this, counted back from the latest, are left out; ``None``: none."""
    half_life_days: float | None = None
    """A row so much older than the latest counts half; ``None``: all count alike."""
    artifact: str | None = None
    """Full name of an artifact whose rows are put below the table, such as the holdout; ``None``: none are."""


def learn_from(learn: Learn, table: Any, newer: Any | None, *, time: str | None, step: str) -> Any:
    """The table that a model step is called with.

    Args:
        learn: What is asked for.
        table: The training table, Polars or pandas.
        newer: Rows to put below it, if an artifact is named.
        time: Name of the time column.
        step: Name of the model step.

    Raises:
        DataRefused: the tables do not fit, there is no time, or no row is left.
    """
    if newer is not None:
        table = join_tables(table, newer, step=step)
    if learn.days is None:
        return table
    return younger(table, _time_of(table, time, step), learn.days)


def younger(table: Any, time: str, days: float) -> Any:
    """The rows at most so many days older than the latest."""
    at = read_moments(table, time)
    kept = at > at.max() - _microseconds(days)
    if frame_kind(table) == "polars":
        return table.filter(kept)
    return table[kept].reset_index(drop=True)


def join_tables(table: Any, newer: Any, *, step: str) -> Any:
    """Both tables' rows, with the first one's columns.

    Raises:
        DataRefused: the second lacks a column, or is of another library.
    """
    names = column_names(table)
    lacking = [name for name in names if name not in column_names(newer)]
    if lacking or frame_kind(table) != frame_kind(newer):
        raise DataRefused(
            f"The rows held out cannot be learnt from by {step!r}: they are not like those it learns from.",
            given=f"without {', '.join(lacking)}" if lacking else f"a table of {frame_kind(newer)}",
            accepted=f"a table of {frame_kind(table)} with the columns {', '.join(names)}",
        )
    if frame_kind(table) == "polars":
        import polars as pl  # met only when a Polars frame is

        return pl.concat([table, select(newer, names)], how="vertical_relaxed")
    import pandas as pd

    return pd.concat([table, select(newer, names)], ignore_index=True)


def with_truth(table: Any, target: str) -> Any:
    """The rows whose target is known: of rows held out it may not be."""
    if target not in column_names(table):
        return table  # which lacks a column, as ``join_tables`` tells
    if frame_kind(table) == "polars":
        return table.drop_nulls(target)
    return table.dropna(subset=[target])


def row_weights(table: Any, time: str | None, half_life_days: float, *, step: str) -> np.ndarray[Any, Any]:
    """How much each row counts, shape (n,), in (0, 1]; the latest counts 1."""
    at = read_moments(table, _time_of(table, time, step))
    ages = (at.max() - at).astype(np.float64) / _microseconds(1.0).astype(np.float64)
    return np.asarray(0.5 ** (ages / half_life_days))


def takes_weights(estimator: Any) -> bool:
    """Whether the estimator can be told how much each row counts."""
    return bool(has_fit_parameter(estimator, "sample_weight"))


def prepared(
    learn: Learn, inputs: Mapping[str, Any], also: Mapping[str, Any], *, target: str, time: str | None, step: str
) -> dict[str, Any]:
    """The inputs of a model step with its training table changed."""
    table = training_table(inputs, target, step=step)
    newer = None if learn.artifact is None else with_truth(also[learn.artifact], target)
    changed = learn_from(learn, table, newer, time=time, step=step)
    return {name: changed if value is table else value for name, value in inputs.items()}


def _time_of(table: Any, time: str | None, step: str) -> str:
    if time is None or time not in column_names(table):
        raise DataRefused(
            f"The model step {step!r} cannot learn from recent rows: its training table has no time.",
            given=", ".join(column_names(table)),
            hint='Write [model.NAME] time = "COLUMN", and keep that column in the training table.',
        )
    return time


def _microseconds(days: float) -> np.timedelta64:
    return np.timedelta64(timedelta(days=days) // timedelta(microseconds=1), "us")
