"""Columns that two versions of a table have in common, and the types in which their values can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from kairos.errors import UsageError, did_you_mean

__all__ = ["Shape", "shape_of"]

_AS_TEXT = (pl.Categorical, pl.Enum)
"""Their codes depend on the table that they are in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is compared."""

    key: tuple[str, ...]
    """Columns that name a row; empty: all that both have."""
    types: dict[str, pl.DataType]
    """Of every column that both have: the type it is compared in."""

    @property
    def values(self) -> list[str]:
        """Columns that may change where the key is the same."""
        return [name for name in self.types if name not in self.key]

    def comparable(self, batch: pl.DataFrame) -> pl.DataFrame:
        """The common columns, in one order and in these types."""
        return batch.select(_as(name, batch.schema[name], kind) for name, kind in self.types.items())


def shape_of(before: pl.Schema, after: pl.Schema, key: Sequence[str]) -> Shape:
    """How two tables are compared; a column whose types have nothing in common is compared as text.

    Raises:
        UsageError: a column of the key is not in both, or the tables have no column in common.
    """
    common = [name for name in after if name in before]
    if not common:
        raise UsageError(
            "The two tables have no column in common.", given=f"{', '.join(before)} and {', '.join(after)}"
        )
    for name in key:
        if name not in common:
            where = "neither" if name not in before and name not in after else "only one"
            raise UsageError(
                f"The key names a column {name!r} that {where} of the two tables has.",
                accepted=", ".join(common),
                hint=did_you_mean(name, common),
            )
    types = {name: _common_type(before[name], after[name]) for name in common}
    return Shape(key=tuple(dict.fromkeys(key)), types=types)


def _common_type(before: pl.DataType, after: pl.DataType) -> pl.DataType:
    if any(kind.is_nested() or isinstance(kind, _AS_TEXT) for kind in (before, after)):
        return pl.String()
    if before == after:
        return before
    try:
        empty = [pl.Series("x", [], dtype=kind).to_frame() for kind in (before, after)]
        found = pl.concat(empty, how="vertical_relaxed").schema["x"]
    except pl.exceptions.PolarsError:
        return pl.String()
    return found


def _as(name: str, is_: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if is_ == wanted:
        return column
    if is_.is_nested():  # as JSON, which tells every value within it
        return pl.when(column.is_not_null()).then(pl.struct(column).struct.json_encode()).alias(name)
    return column.cast(wanted)
