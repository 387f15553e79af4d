"""Columns of lists of a table as a signature takes them: what a request's arrays are held to, for many rows at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from kairos.models.arrays import array_text, number_array, ragged, read_nested, whole_shape
from kairos.models.column import LARGEST_NUMBER, Column

__all__ = ["read_arrays"]

Array = np.ndarray[Any, Any]


def read_arrays(column: Column, series: pl.Series) -> tuple[Array, Array]:
    """The cells as ``Column.gather`` has them, and which of them fit, shape (n,); what does not fit is all zeros.

    Args:
        column: Of arrays.
        series: Lists, arrays, or texts of JSON.
    """
    if isinstance(series.dtype, pl.Array) and not series.null_count() and series.dtype.shape == column.shape:
        values = np.asarray(series.to_numpy())
        if values.dtype.kind in "iuf":
            return _fitting(column, values)
    is_number = _leaf(series.dtype).is_numeric()
    nothing: Array = np.zeros(tuple(least for least, _ in column.taken) or column.shape, dtype=column.dtype)
    cells, fits = [nothing] * len(series), np.zeros(len(series), dtype=bool)
    for row, cell in enumerate(series.to_list()):
        found = _typed(cell, column) if is_number else read_nested(array_text(cell), column.shape)
        if found is not None and column.takes(found.shape) and _is_right(column, found):
            cells[row], fits[row] = found.astype(column.dtype, copy=False), True
    return (ragged(cells) if column.is_free else np.array(cells).reshape(-1, *column.shape)), fits


def _leaf(dtype: Any) -> Any:
    while isinstance(dtype, (pl.List, pl.Array)):
        dtype = dtype.inner
    return dtype


def _typed(cell: Any, column: Column) -> Array | None:
    """An array of a list whose numbers are all of one type, and which therefore need not be looked at one by one."""
    found = None if cell is None else number_array(cell)
    if found is None:
        return None
    shape = whole_shape(found.shape, column.shape)
    return found.reshape(shape) if len(shape) == len(column.shape) else None


def _is_right(column: Column, found: Array) -> bool:
    if not found.size:
        return True
    numbers = found.astype(np.float64, copy=False)
    if not float(np.abs(numbers).max()) <= LARGEST_NUMBER:  # NaN fails every comparison
        return False
    return not column.is_whole or found.dtype.kind == "i" or bool((np.floor(numbers) == numbers).all())


def _fitting(column: Column, values: Array) -> tuple[Array, Array]:
    flat = values.reshape(len(values), -1).astype(np.float64)
    fits = np.asarray((np.abs(flat) <= LARGEST_NUMBER).all(axis=1))  # NaN fails every comparison
    if column.is_whole:
        fits &= (np.floor(flat) == flat).all(axis=1)
        values = np.where(fits.reshape(-1, *[1] * len(column.shape)), values, 0)
    return values, fits
