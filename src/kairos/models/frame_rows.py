"""Rows of a table as a signature takes them: what a request is held to, for many rows at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from kairos.errors import InputRefused, did_you_mean
from kairos.models.array_rows import read_arrays
from kairos.models.arrays import array_text, shape_words
from kairos.models.signature import LARGEST_NUMBER, LONGEST_TEXT, Column, ColumnKind, Signature

__all__ = ["FrameRows", "read_frame", "why_refused"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRows:
    """The rows of a table that a model can be asked about, and why the others are refused."""

    columns: Mapping[str, Array]
    """The accepted rows, each array of shape (accepted,), as ``Signature.parse_rows`` gives them."""
    accepted: Array
    """Positions of these rows in the table, ascending."""
    refused: Mapping[int, str]
    """Position in the table to the name of the first column that does not fit."""
    rows: int
    """Of the table."""


def read_frame(signature: Signature, frame: pl.DataFrame, *, has_array_texts: bool = False) -> FrameRows:
    """Reads a table by column. A row fits here if, and only if, it would as JSON; NaN is null.

    Columns that the model does not know are left aside.

    Args:
        signature: Of the model.
        frame: The rows.
        has_array_texts: Whether arrays are told as texts of JSON, as in CSV.

    Raises:
        InputRefused: a required column is missing, or holds another kind altogether; ``facts`` hold ``field``.
    """
    arrays: dict[str, Array] = {}
    refused: dict[int, str] = {}
    for column in signature.columns:
        if column.name not in frame.columns:
            _check_may_lack(column, frame, signature)
            arrays[column.name] = column.lacking(frame.height)
            continue
        series = frame.get_column(column.name)
        is_list = isinstance(series.dtype, (pl.Array, pl.List)) or (has_array_texts and series.dtype == pl.String)
        if column.kind == "array" and not is_list:
            raise _another_kind(column, series)
        values, fits = _READERS[column.kind](column, series)
        arrays[column.name] = values
        for row in np.flatnonzero(~fits).tolist():
            refused.setdefault(row, column.name)
    fitting = np.ones(frame.height, dtype=bool)
    fitting[list(refused)] = False
    chosen: dict[str, Array] = {}
    for column in signature.columns:
        values = arrays[column.name][fitting] if refused else arrays[column.name]
        chosen[column.name] = values if column.is_free else values.astype(column.dtype, copy=False)
    accepted = np.flatnonzero(fitting)
    return FrameRows(columns=chosen, accepted=accepted, refused=refused, rows=frame.height)


def why_refused(signature: Signature, frame: pl.DataFrame, row: int, name: str, *, first_row: int) -> InputRefused:
    """The error that a request with this row would get.

    Args:
        signature: The model's.
        frame: The rows.
        row: Position among them.
        name: The column that does not fit.
        first_row: What the error calls the first of them.
    """
    column = next(each for each in signature.columns if each.name == name)
    value = frame.get_column(name)[row]
    try:
        told = value.to_list() if isinstance(value, pl.Series) else value
        told = array_text(told) if column.kind == "array" else told
        column.parse(None if type(told) is float and told != told else told, first_row + row)
    except InputRefused as error:
        hint = error.hint or "Type --skip-refused to leave such rows without a prediction."
        return InputRefused(error.what, given=error.given, accepted=error.accepted, hint=hint, **error.facts)
    raise AssertionError(f"{name!r} is refused in a table and not in a request: {value!r}")


def _check_may_lack(column: Column, frame: pl.DataFrame, signature: Signature) -> None:
    if column.required:
        raise InputRefused(
            f"The table lacks the column {column.name!r}.",
            accepted=", ".join(signature.names),
            hint=did_you_mean(column.name, frame.columns),
            field=column.name,
        )


def _read_number(column: Column, series: pl.Series) -> tuple[Array, Array]:
    if not (series.dtype.is_numeric() or series.dtype == pl.Null):
        raise _another_kind(column, series)
    values = series.cast(pl.Float64).to_numpy()
    missing = np.isnan(values)
    fits = np.abs(values) <= LARGEST_NUMBER  # NaN fails every comparison
    return values, fits | missing if column.nullable else fits


def _read_integer(column: Column, series: pl.Series) -> tuple[Array, Array]:
    values, fits = _read_number(column, series)
    whole = np.isnan(values) | (np.floor(values) == values)
    fits &= whole
    return np.where(fits, values, 0.0) if column.dtype == np.int64 else values, fits


def _read_boolean(column: Column, series: pl.Series) -> tuple[Array, Array]:
    if series.dtype not in (pl.Boolean, pl.Null):
        raise _another_kind(column, series)
    fits = np.ones(len(series), dtype=bool) if column.nullable else series.is_not_null().to_numpy()
    if column.dtype == np.bool_:
        return series.cast(pl.Boolean).fill_null(value=False).to_numpy(), fits
    return _objects(series), fits


def _read_text(column: Column, series: pl.Series) -> tuple[Array, Array]:
    if series.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        raise _another_kind(column, series)
    texts = series.cast(pl.String)
    fits = texts.str.len_chars() <= LONGEST_TEXT
    if column.kind == "category" and not column.open_levels and not column.rare_levels:
        fits &= texts.is_in(list(column.levels))
    return _objects(texts), fits.fill_null(value=column.nullable).to_numpy()


_READERS: dict[ColumnKind, Callable[[Column, pl.Series], tuple[Array, Array]]] = {
    "number": _read_number,
    "integer": _read_integer,
    "boolean": _read_boolean,
    "category": _read_text,
    "text": _read_text,
    "array": read_arrays,
}


def _objects(series: pl.Series) -> Array:
    values = np.empty(len(series), dtype=object)
    values[:] = series.to_list()
    return values


def _another_kind(column: Column, series: pl.Series) -> InputRefused:
    shape = shape_words(column.shape, column.taken)
    return InputRefused(
        f"The table holds the column {column.name!r} as another kind.",
        given=str(series.dtype),
        accepted=f"a list or array of numbers of shape {shape}" if column.shape else column.kind,
        field=column.name,
    )
