"""Rows of the prediction log counted in the bins of a profile."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.models.profile import ColumnProfile, Profile
from kairos.monitor.watched import watched_inputs, watched_values
from kairos.stats.bins import NumberBins
from kairos.store.records import INPUT_PREFIX, OUTPUT_PREFIX

__all__ = ["input_cells", "no_counts", "output_cells", "prediction_cells"]


def input_cells(rows: pl.DataFrame, profile: Profile) -> dict[str, NDArray[np.int64]]:
    """Rows of the prediction log per cell of each input's bins, folded; inputs that were not captured are left out."""
    return {
        name: _cells(each.profile, watched_values(each, rows.get_column(INPUT_PREFIX + each.column)))
        for name, each in watched_inputs(profile).items()
        if INPUT_PREFIX + each.column in rows.columns
    }


def prediction_cells(rows: pl.DataFrame, profile: Profile) -> NDArray[np.int64]:
    """Rows of the prediction log per cell of the prediction's bins, folded; those without a finite one are left out."""
    raw = rows.get_column("raw").drop_nulls()
    return _cells(profile.prediction, raw.filter(raw.is_finite()))


def output_cells(rows: pl.DataFrame, profile: Profile) -> dict[str, NDArray[np.int64]]:
    """Rows of the prediction log per cell of the bins of each output beside the lead, folded."""
    found = {}
    for name, column in profile.outputs.items():
        if OUTPUT_PREFIX + name in rows.columns:
            values = rows.get_column(OUTPUT_PREFIX + name).drop_nulls()
            found[name] = _cells(column, values)
    return found


def _cells(column: ColumnProfile, values: pl.Series) -> NDArray[np.int64]:
    bins = column.bins
    if not isinstance(bins, NumberBins):
        return bins.fold(bins.counts(values.to_list()))
    numbers = values if values.dtype.is_numeric() else values.cast(pl.Float64, strict=False)
    return bins.fold(bins.counts(numbers.to_numpy()))  # null becomes NaN


def no_counts(column: ColumnProfile) -> NDArray[np.int64]:
    """Of no row."""
    return np.zeros_like(column.bins.fold(np.asarray(column.counts)))
