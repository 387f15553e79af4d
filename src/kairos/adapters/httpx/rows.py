"""Rows of JSON as tables of the same columns and types; what is not told the first page settles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from kairos.errors import DataRefused

__all__ = ["PagedRows"]


class PagedRows:
    """Turns pages of rows into tables: no field and no part of a value is left out without a word.

    Args:
        declared: Types by the project; their columns come first, and are there whether a row has them or not.
    """

    def __init__(self, declared: Mapping[str, Any]) -> None:
        self._types: dict[str, Any] = {name: _made(dtype) for name, dtype in declared.items()}
        self._is_settled = False

    def table(self, rows: Sequence[Any]) -> pl.DataFrame:
        """One page.

        Raises:
            DataRefused: a row is no object, has a field that the first page lacks, or a value that does not fit.
        """
        if odd := [row for row in rows if not isinstance(row, Mapping)]:
            raise DataRefused(
                "A row of an interface is no object.", given=repr(odd[0])[:80], accepted='{"NAME": VALUE}'
            )
        try:
            told = pl.DataFrame(rows, infer_schema_length=None, strict=True)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            raise _refused(str(error), "COLUMN") from error
        if not self._is_settled:
            self._types |= {name: None for name in told.columns if name not in self._types}
            self._is_settled = True
        elif late := [name for name in told.columns if name not in self._types]:
            raise DataRefused(
                "Rows of an interface have fields that the first page lacks.",
                given=", ".join(late),
                hint=f"Name them: types={{{late[0]!r}: pl.String}}.",
            )
        return pl.DataFrame([self._column(name, told, rows) for name in self._types])

    def empty(self) -> pl.DataFrame:
        """A table without rows: all that is known of its columns."""
        return pl.DataFrame(schema=self._types)

    def _column(self, name: str, told: pl.DataFrame, rows: Sequence[Mapping[str, Any]]) -> pl.Series:
        dtype = self._types[name]
        if name not in told.columns:
            return pl.Series(name, [None] * len(rows), dtype)
        column = told[name]
        if dtype is None:
            self._types[name] = column.dtype
            return column
        if column.dtype == dtype:
            return column
        if (lost := _lost(column, dtype)) is not None:
            raise _refused(f"{name}: {lost}", name)
        try:
            if column.dtype == pl.String:  # a time, a date
                return pl.Series(name, column.to_list(), dtype, strict=True)
            return column.cast(dtype, strict=True)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            raise _refused(str(error), name) from error


def _lost(column: pl.Series, wanted: pl.DataType) -> str | None:
    """What of a column's values its type would leave out; ``None``: nothing, or the cast tells."""
    if column.dtype.is_float() and wanted.is_integer():
        parts = column.drop_nulls().filter(column.drop_nulls() % 1 != 0)
        return f"{parts[0]} is no whole number" if len(parts) else None
    return _unfit(column.dtype, wanted)


def _unfit(dtype: pl.DataType, wanted: pl.DataType) -> str | None:
    """Why values of a type within a list or an object do not fit another; fields and fractions would be left out."""
    if isinstance(dtype, pl.Struct) and isinstance(wanted, pl.Struct):
        known = {field.name: field.dtype for field in wanted.fields}
        for field in dtype.fields:
            if field.name not in known:
                return f"an object has the field {field.name!r}"
            if (found := _unfit(_made(field.dtype), _made(known[field.name]))) is not None:
                return f"{field.name}: {found}"
        return None
    if isinstance(dtype, pl.List) and isinstance(wanted, pl.List):
        return _unfit(_made(dtype.inner), _made(wanted.inner))
    is_nested = isinstance(dtype, pl.Struct | pl.List) != isinstance(wanted, pl.Struct | pl.List)
    if (is_nested and dtype != pl.Null) or (dtype.is_float() and wanted.is_integer()):
        return f"{dtype} is no {wanted}"
    return None


def _made(dtype: Any) -> pl.DataType:
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made


def _refused(given: str, name: str) -> DataRefused:
    return DataRefused(
        "Rows of an interface do not fit the types of their columns.",
        given=given,
        hint=f"Name the type: types={{{name!r}: pl.Float64}}.",
    )
