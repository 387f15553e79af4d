"""Types that a cursor tells of its columns, as types of Polars, so that a batch of blanks has its column's type."""

from __future__ import annotations

from typing import Any

import polars as pl

__all__ = ["told_types"]

_UTC = pl.Datetime("us", "UTC")
_LOCAL = pl.Datetime("us")
_POSTGRES: dict[int, Any] = {
    16: pl.Boolean,
    17: pl.Binary,
    20: pl.Int64,
    21: pl.Int16,
    23: pl.Int32,
    25: pl.String,
    18: pl.String,
    19: pl.String,
    114: pl.String,  # json
    700: pl.Float32,
    701: pl.Float64,
    1042: pl.String,
    1043: pl.String,
    1082: pl.Date,
    1083: pl.Time,
    1114: _LOCAL,
    1184: _UTC,
    1186: pl.Duration("us"),
    1700: pl.Float64,  # numeric has no scale of its own
    2950: pl.String,  # uuid
    3802: pl.String,  # jsonb
}
_MYSQL: dict[int, Any] = {
    0: pl.Float64,  # decimal
    1: pl.Int16,  # may be unsigned
    2: pl.Int32,
    3: pl.Int64,  # may be unsigned
    4: pl.Float32,
    5: pl.Float64,
    7: _LOCAL,
    8: pl.Int64,
    9: pl.Int32,
    10: pl.Date,
    11: pl.Duration("us"),
    12: _LOCAL,
    13: pl.Int16,
    15: pl.String,
    245: pl.String,  # json
    246: pl.Float64,  # new decimal
    247: pl.String,
    248: pl.String,
    253: pl.String,
    254: pl.String,
}
"""Blobs (249 to 252) are text or bytes by their values: the code does not say which."""


def told_types(database: str, cursor: Any) -> dict[str, Any]:
    """Types by column, for those whose code is known; SQLite's cursor tells none."""
    known = {"postgresql": _POSTGRES, "mysql": _MYSQL}.get(database, {})
    return {column[0]: known[column[1]] for column in cursor.description or () if column[1] in known}
