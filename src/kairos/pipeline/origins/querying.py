"""What all SQL databases have in common: how a window is bound, and how tuples become tables of stable types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl

from kairos.errors import DataRefused, UsageError
from kairos.pipeline.origins.declared import Sql, zone_of
from kairos.pipeline.ports import Mark
from kairos.values import Window, canonical_json

__all__ = ["BATCH_ROWS", "Columns", "bound", "mark_of", "watermark_query"]

BATCH_ROWS = 10_000


def bound(origin: Sql, window: Window, times: str) -> dict[str, Any]:
    """Values of ``:start`` and ``:end``, as the database keeps times.

    Raises:
        UsageError: an edge of the window is in the hour that the zone's clocks show twice, so it has no name there.
    """
    return {"start": _moment(origin, window.start, times), "end": _moment(origin, window.end, times)}


def watermark_query(origin: Sql, quote: str = '"') -> str | None:
    """The query of a window's watermark; ``None`` if none was declared."""
    if origin.updated is None:
        return origin.watermark
    column = quote + origin.updated.replace(quote, quote * 2) + quote
    query = origin.query.strip().rstrip(";")
    return f"SELECT count(*), max(kairos_rows.{column}) FROM ({query}) AS kairos_rows"


def mark_of(row: Sequence[Any] | None) -> Mark:
    """The row of a watermark query as a watermark."""
    values = [value if isinstance(value, str | int | float | None) else str(value) for value in row or ()]
    return Mark(text=f"row {canonical_json(values).decode()}")


class Columns:
    """Turns a cursor's tuples into tables whose types are the same in all batches and windows.

    Args:
        names: Of the columns.
        types: Those that the cursor tells; the others are settled by the first values.
        declared: By the project; they go first.
    """

    def __init__(self, names: Sequence[str], types: Mapping[str, pl.DataType], declared: Mapping[str, Any]) -> None:
        if len(set(names)) < len(names):
            raise DataRefused("A query gives two columns of one name.", given=", ".join(names), hint="Write ... AS ...")
        if unknown := set(declared) - set(names):
            raise UsageError("types= names columns that the query does not give.", given=", ".join(sorted(unknown)))
        self._names = list(names)
        self._types: dict[str, Any] = {**types, **declared}

    def table(self, rows: Iterable[Sequence[Any]]) -> pl.DataFrame:
        """One batch.

        Raises:
            DataRefused: a value does not fit its column's type.
        """
        data = list(zip(*rows, strict=True)) or [()] * len(self._names)
        columns = [self._series(name, values) for name, values in zip(self._names, data, strict=True)]
        return pl.DataFrame(columns)

    def _series(self, name: str, values: Sequence[Any]) -> pl.Series:
        dtype = self._types.get(name)
        plain = [_plain(value) for value in values]
        try:
            if dtype is not None:
                return _typed(name, plain, dtype)
            series = pl.Series(name, plain, strict=True)
        except (TypeError, OverflowError, ValueError, pl.exceptions.PolarsError) as error:
            raise DataRefused(
                f"Column {name!r} of a query holds values that do not fit one type.",
                given=str(error),
                accepted=None if dtype is None else str(dtype),
                hint=f"Cast it in the query, or write types={{{name!r}: pl.Float64}}.",
            ) from error
        if series.dtype == pl.Null:
            raise DataRefused(
                f"The type of column {name!r} cannot be told: no value has come.",
                hint=f"Write types={{{name!r}: pl.Int64}}.",
            )
        self._types[name] = series.dtype
        return series


def _typed(name: str, values: Sequence[Any], dtype: Any) -> pl.Series:
    made = dtype() if isinstance(dtype, type) else dtype
    if isinstance(made, pl.Datetime) and made.time_zone is not None:
        return pl.Series(name, [_in_utc(value) for value in values], pl.Datetime("us", "UTC"), strict=True).cast(made)
    if made == pl.String:
        values = [value if value is None or isinstance(value, str) else _refuse_text(value) for value in values]
    return pl.Series(name, values, made, strict=True)


def _refuse_text(value: Any) -> str:
    raise TypeError(f"{value!r} is no text")


def _in_utc(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return float(value) if isinstance(value, Decimal) else value


def _moment(origin: Sql, moment: datetime, times: str) -> Any:
    if times == "aware":
        return moment.astimezone(UTC)
    if times == "epoch":
        seconds = moment.timestamp()
        return int(seconds) if seconds.is_integer() else seconds
    zone = zone_of(origin.zone)
    local = moment.astimezone(zone)
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        raise UsageError(
            "A window begins or ends in the hour that a clock shows twice, so the database cannot tell where.",
            given=f"{moment.isoformat()} in {origin.zone}",
            accepted="another edge, or times that the database keeps with their zone",
        )
    naive = local.replace(tzinfo=None)
    return naive if times == "naive" else naive.isoformat(sep=" ")
