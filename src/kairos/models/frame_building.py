"""Frames made of plain arrays, with the data types that training had: undoes what ``frames`` reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kairos.models.arrays import ragged
from kairos.models.frames import FrameKind

__all__ = ["build_frame"]


def build_frame(
    kind: FrameKind,
    columns: Mapping[str, np.ndarray[Any, Any]],
    dtypes: Mapping[str, str],
    levels: Mapping[str, tuple[str, ...]],
) -> Any:
    """Builds a frame with the data types of training; undoes ``read_column``.

    A level that a fixed data type (``Enum``, ``category``) does not hold becomes a missing value.
    """
    if kind == "polars":
        import polars as pl  # met only when a Polars frame is

        return pl.DataFrame([_polars_series(pl, name, columns[name], dtypes[name], levels) for name in dtypes])
    import pandas as pd  # met only when a pandas frame is

    return pd.DataFrame({name: _pandas_series(pd, columns[name], dtypes[name], levels.get(name)) for name in dtypes})


def _polars_series(
    pl: Any, name: str, values: np.ndarray[Any, Any], dtype: str, levels: Mapping[str, tuple[str, ...]]
) -> Any:
    if values.ndim > 1:
        return pl.Series(name, values.tolist() if dtype == "List" else values)
    if dtype == "List":  # of cells that differ in length; an empty one does not say of what
        number: Any = pl.Int64 if all(cell.dtype.kind == "i" for cell in values) else pl.Float64
        for _ in range(max((cell.ndim for cell in values), default=1)):
            number = pl.List(number)
        return pl.Series(name, [cell.tolist() for cell in values], dtype=number)
    if dtype == "Enum":
        known = set(levels[name])
        return pl.Series(name, [v if v in known else None for v in values], dtype=pl.Enum(levels[name]))
    if values.dtype == np.object_:
        return pl.Series(name, values.tolist(), dtype=getattr(pl, dtype))
    series = pl.Series(name, values)
    if values.dtype == np.float64:
        series = series.fill_nan(None)
    return series.cast(getattr(pl, dtype))


def _pandas_series(pd: Any, values: np.ndarray[Any, Any], dtype: str, levels: tuple[str, ...] | None) -> Any:
    if values.ndim > 1:
        return pd.Series(ragged(values))
    if dtype == "category":
        known = set(levels or ())
        return pd.Series(pd.Categorical([v if v in known else None for v in values], categories=list(levels or ())))
    if values.dtype == np.float64 and dtype[:1] in "IU":  # nullable Int64, UInt8, ...
        return pd.Series(pd.array([None if v != v else int(v) for v in values], dtype=dtype))
    return (
        pd.Series(values, dtype=object).astype(dtype) if values.dtype == np.object_ else pd.Series(values).astype(dtype)
    )
