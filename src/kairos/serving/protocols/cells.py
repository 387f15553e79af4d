"""One row of plain JSON, value by value: it is where a request for a single answer costs most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kairos.models.signature import LARGEST_NUMBER, LONGEST_TEXT, Column
from kairos.values import Json

__all__ = ["Cell", "cell", "read_row"]

Cell = tuple[str, Callable[[Json], Any], Any, Any]
"""A column's name, what a value of it is read by, its array's type, and what stands for a missing value."""

ODD = object()
"""A value that is not plainly right; somebody else is to say what is wrong with it."""


def cell(column: Column) -> Cell:
    """The reader of a column's values; what it does not read is ``ODD``."""
    null = column.null if column.nullable else ODD
    absent = ODD if column.required else column.null
    kinds: Mapping[str, Callable[[Json], Any]] = {"number": _number, "integer": _integer, "boolean": _boolean}
    reads = kinds.get(column.kind, _text)
    if column.kind == "category" and not column.open_levels and not column.rare_levels:
        reads = _level(frozenset(column.levels))
    return column.name, lambda value: null if value is None else reads(value), column.dtype, absent


def read_row(row: Mapping[str, Json], cells: Sequence[Cell]) -> tuple[dict[str, np.ndarray[Any, Any]], int] | None:
    """The arrays of one row, each of shape (1,), and how many of its fields are columns; ``None``: a value is odd."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    found = 0
    for name, read, dtype, absent in cells:
        if name in row:
            value = read(row[name])
            found += 1
        else:
            value = absent
        if value is ODD:
            return None
        arrays[name] = np.array((value,), dtype=dtype)
    return arrays, found


def _number(value: Json) -> Any:
    kind = type(value)
    return value if (kind is float or kind is int) and -LARGEST_NUMBER <= value <= LARGEST_NUMBER else ODD


def _integer(value: Json) -> Any:
    kind = type(value)
    if kind is int:
        return value if -LARGEST_NUMBER <= value <= LARGEST_NUMBER else ODD
    return value if kind is float and -LARGEST_NUMBER <= value <= LARGEST_NUMBER and value.is_integer() else ODD


def _boolean(value: Json) -> Any:
    return value if type(value) is bool else ODD


def _text(value: Json) -> Any:
    return value if type(value) is str and len(value) <= LONGEST_TEXT else ODD


def _level(levels: frozenset[str]) -> Callable[[Json], Any]:
    return lambda value: value if type(value) is str and value in levels else ODD
