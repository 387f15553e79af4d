"""Data frames as plain arrays and back: Polars or pandas, whichever the project's step returned.

Neither library is imported before a frame of it is met: the model server usually needs neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kairos.errors import DataRefused, PackageError
from kairos.models.arrays import LARGEST_ARRAY, common_shape, gathered_cells, ragged, stacked
from kairos.models.levels import MOST_LEVELS, is_category, shared_levels
from kairos.models.signature import ColumnKind

__all__ = [
    "FrameColumn",
    "FrameKind",
    "as_pandas",
    "column_names",
    "frame_kind",
    "read_column",
    "read_moments",
    "select",
    "take_rows",
]

FrameKind = Literal["polars", "pandas"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameColumn:
    """One column of a training frame."""

    name: str
    kind: ColumnKind
    dtype: str
    """The frame library's own name of the data type."""
    values: np.ndarray[Any, Any]
    """Shape (n,): float64 with NaN, int64, bool, or objects (``str``, ``bool`` or ``None``); of arrays (n, *shape).

    Of arrays that differ in length objects, each int64 or float64.
    """
    levels: tuple[str, ...] = ()
    """Of a category those that several rows share; of a fixed data type (``Enum``, ``category``) all, in its order."""
    rare_levels: bool = False
    """Whether a category holds levels that too few rows share to be named."""
    shape: tuple[int, ...] = ()
    """Of an array's cells, with ``FREE`` for an axis on which they differ."""
    is_whole: bool = False
    """Whether an array holds whole numbers only."""


def frame_kind(frame: object) -> FrameKind:
    """Tells whose data frame this is.

    Raises:
        PackageError: it is neither a Polars nor a pandas data frame.
    """
    root = type(frame).__module__.partition(".")[0]
    if type(frame).__name__ == "DataFrame" and root == "polars":
        return "polars"
    if type(frame).__name__ == "DataFrame" and root == "pandas":
        return "pandas"
    raise PackageError(
        "A model needs a table to train on.",
        given=f"{type(frame).__module__}.{type(frame).__qualname__}",
        accepted="a polars.DataFrame or a pandas.DataFrame",
    )


def column_names(value: object) -> list[str]:
    """Returns the names of a data frame's columns; of what is no data frame, none."""
    try:
        frame_kind(value)
    except PackageError:
        return []
    return [str(name) for name in getattr(value, "columns", ())]


def select(frame: Any, names: Sequence[str]) -> Any:
    """Returns the frame with these columns only, in this order."""
    return frame.select(list(names)) if frame_kind(frame) == "polars" else frame[list(names)]


def take_rows(frame: Any, rows: Any) -> Any:
    """Returns the rows at these positions, in their order."""
    return frame[rows] if frame_kind(frame) == "polars" else frame.iloc[rows].reset_index(drop=True)


def as_pandas(frame: Any) -> Any:
    """Returns a frame of numbers, booleans and text as pandas has it, without pyarrow; one of pandas as it is."""
    if frame_kind(frame) == "pandas":
        return frame
    import pandas as pd  # met only when a pandas frame is asked for

    read = {name: read_column(frame, name).values for name in frame.columns}
    return pd.DataFrame({name: pd.Series(v if v.ndim == 1 else ragged(v)) for name, v in read.items()})


def read_column(frame: Any, name: str) -> FrameColumn:
    """Returns one column as a plain array with its kind.

    Raises:
        PackageError: the column holds neither numbers, booleans nor text.
    """
    column = frame[name]
    return _read_polars(name, column) if frame_kind(frame) == "polars" else _read_pandas(name, column)


def read_moments(frame: Any, name: str) -> np.ndarray[Any, Any]:
    """Returns a column of times as UTC, ``datetime64[us]`` of shape (n,); a time without a zone is UTC, text as well.

    Raises:
        DataRefused: there is no such column, or it holds something that is no time, or lacks one.
    """
    if name not in column_names(frame):
        raise DataRefused(f"A table has no time column {name!r}.", given=", ".join(column_names(frame)))
    column = frame[name]
    try:
        found = _polars_moments(column) if frame_kind(frame) == "polars" else _pandas_moments(column)
    except (ValueError, TypeError) as error:
        raise DataRefused(f"The time column {name!r} holds no times.", given=str(error).partition("\n")[0]) from error
    if np.isnat(found).any():
        raise DataRefused(f"The time column {name!r} lacks a time in {int(np.isnat(found).sum())} rows.")
    return found


def _polars_moments(column: Any) -> np.ndarray[Any, Any]:
    import polars as pl  # met only when a Polars frame is

    try:
        if column.dtype == pl.String:
            column = column.str.to_datetime(time_unit="us", time_zone="UTC")
        elif column.dtype not in (pl.Date, pl.Datetime):
            raise ValueError(f"a column of {column.dtype}")
        column = column.cast(pl.Datetime("us"))  # of a time with a zone this is its UTC
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error)) from error
    return np.asarray(column.to_numpy(), dtype="datetime64[us]")


def _pandas_moments(column: Any) -> np.ndarray[Any, Any]:
    import pandas as pd  # met only when a pandas frame is

    if getattr(column.dtype, "kind", "O") not in "OMU" and "date" not in str(column.dtype):
        raise ValueError(f"a column of {column.dtype}")
    found = pd.to_datetime(column, utc=True).dt.tz_localize(None)
    return np.asarray(found.to_numpy(), dtype="datetime64[us]")


def _read_polars(name: str, column: Any) -> FrameColumn:
    import polars as pl  # met only when a Polars frame is

    dtype = column.dtype
    shown = str(dtype.base_type())
    if dtype.is_integer():
        is_float = column.null_count() > 0 or (column.len() > 0 and column.max() >= 2**63)
        values = column.cast(pl.Float64 if is_float else pl.Int64).to_numpy()
        return FrameColumn(name=name, kind="integer", dtype=shown, values=values)
    if dtype.is_numeric():
        values = column.cast(pl.Float64).to_numpy()
        return FrameColumn(name=name, kind="number", dtype="Float64" if dtype.is_decimal() else shown, values=values)
    if dtype == pl.Boolean:
        values = _objects(column.to_list()) if column.null_count() else column.to_numpy()
        return FrameColumn(name=name, kind="boolean", dtype=shown, values=values)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        values = _objects(column.cast(pl.String).to_list())
        levels = tuple(dtype.categories.to_list()) if isinstance(dtype, pl.Enum) else None
        return _text_column(name, shown, values, levels, is_declared=dtype != pl.String)
    if dtype.is_nested() and isinstance(dtype, (pl.Array, pl.List)):
        return _array_column(name, shown, column.to_list())
    raise _unsupported(name, str(dtype))


def _array_column(name: str, dtype: str, cells: list[Any]) -> FrameColumn:
    """A column whose cells are lists or arrays of numbers, with as many axes each.

    Raises:
        PackageError: they are not, or one is missing, or too large.
    """
    missing = sum(cell is None for cell in cells)
    values = None if missing or not cells else stacked(cells)
    if values is not None and math.prod(values.shape[1:]) <= LARGEST_ARRAY and np.isfinite(values).all():
        is_whole = values.dtype.kind == "i"
        return FrameColumn(
            name=name, kind="array", dtype=dtype, values=values, shape=values.shape[1:], is_whole=is_whole
        )
    values = None if missing or not cells else gathered_cells(cells)
    if values is None or not all(cell.size <= LARGEST_ARRAY and np.isfinite(cell).all() for cell in values):
        raise PackageError(
            f"The model cannot take the column {name!r} of lists.",
            given=f"{missing} missing" if missing else "lists that are uneven, of no finite numbers, or too long",
            accepted=f"finite numbers in every row, up to {LARGEST_ARRAY:,}, in as many lists inside one another",
            hint="Lists may differ in length from row to row, not beside each other in one row.",
        )
    shape, is_whole = common_shape(values), values[0].dtype.kind == "i"
    return FrameColumn(name=name, kind="array", dtype=dtype, values=values, shape=shape, is_whole=is_whole)


def _read_pandas(name: str, column: Any) -> FrameColumn:
    dtype = column.dtype
    shown = str(dtype)
    letter = getattr(dtype, "kind", "O")
    if shown == "category":
        levels = tuple(dtype.categories)
        if not all(isinstance(level, str) for level in levels):
            raise _unsupported(name, "category of values that are not text")
        values = _objects([None if value != value else value for value in column.tolist()])
        return _text_column(name, shown, values, levels, is_declared=True)
    has_null = bool(column.isna().any())
    if letter in "iu":
        is_float = has_null or (letter == "u" and len(column) > 0 and column.max() >= 2**63)
        values = column.to_numpy(dtype=np.float64, na_value=np.nan) if is_float else column.to_numpy(dtype=np.int64)
        return FrameColumn(name=name, kind="integer", dtype=shown, values=values)
    if letter == "f":
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return FrameColumn(name=name, kind="number", dtype=shown, values=values)
    if letter == "b":
        values = (
            _objects(column.astype(object).where(column.notna(), None)) if has_null else column.to_numpy(dtype=bool)
        )
        return FrameColumn(name=name, kind="boolean", dtype=shown, values=values)
    if letter == "O":
        values = _objects(column.astype(object).where(column.notna(), None))
        if all(value is None or isinstance(value, str) for value in values):
            return _text_column(name, shown, values, None, is_declared=False)
        if any(isinstance(value, (list, np.ndarray)) for value in values):
            return _array_column(name, shown, values.tolist())
    raise _unsupported(name, shown)


def _text_column(
    name: str, dtype: str, values: np.ndarray[Any, Any], levels: tuple[str, ...] | None, *, is_declared: bool
) -> FrameColumn:
    held = values.tolist()
    if not is_category(held, most=None if is_declared else MOST_LEVELS):
        # A fixed data type cannot be built again without its levels.
        return FrameColumn(name=name, kind="text", dtype=dtype, values=values, levels=levels or ())
    named = levels if levels is not None else tuple(sorted(shared_levels(held)))
    rare = not set(held) <= {*named, None}
    return FrameColumn(name=name, kind="category", dtype=dtype, values=values, levels=named, rare_levels=rare)


def _objects(values: Any) -> np.ndarray[Any, Any]:
    items = list(values)
    array = np.empty(len(items), dtype=object)
    for at, item in enumerate(items):  # of lists of one length numpy would make a table
        array[at] = item
    return array


def _unsupported(name: str, dtype: str) -> PackageError:
    return PackageError(
        f"The model cannot take the column {name!r}.",
        given=dtype,
        accepted="numbers, booleans, text, and arrays of numbers",
        hint=f"Derive a feature from it, or leave it out: @model(..., drop=[{name!r}]).",
    )
