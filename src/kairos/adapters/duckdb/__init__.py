"""Rows of a file of DuckDB."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from kairos.errors import AdapterError, DataRefused, UsageError
from kairos.pipeline.origins.declared import Sql
from kairos.pipeline.origins.querying import BATCH_ROWS, Columns, bound, mark_of, watermark_query
from kairos.pipeline.origins.secrets import filled
from kairos.pipeline.ports import Mark
from kairos.values import Json, Window

__all__ = ["open_reader"]

_TYPES: dict[str, Any] = {
    "BOOLEAN": pl.Boolean,
    "TINYINT": pl.Int8,
    "SMALLINT": pl.Int16,
    "INTEGER": pl.Int32,
    "BIGINT": pl.Int64,
    "UTINYINT": pl.UInt8,
    "USMALLINT": pl.UInt16,
    "UINTEGER": pl.UInt32,
    "UBIGINT": pl.UInt64,
    "FLOAT": pl.Float32,
    "DOUBLE": pl.Float64,
    "VARCHAR": pl.String,
    "UUID": pl.String,
    "BLOB": pl.Binary,
    "DATE": pl.Date,
    "TIME": pl.Time,
    "TIMESTAMP": pl.Datetime("us"),
    "TIMESTAMP WITH TIME ZONE": pl.Datetime("us", "UTC"),
    "INTERVAL": pl.Duration("us"),
}
_BOUND = re.compile(r"(?<!:):(start|end)\b")  # not the cast in '::start'


def open_reader(origin: Sql, root: Path) -> DuckReader:
    """Reads a file of DuckDB, below the project's folder or by its absolute path."""
    name = filled(origin.url).removeprefix("duckdb:///")
    if not (root / name).is_file():
        raise UsageError("A source reads a file of DuckDB that is not there.", given=name)
    return DuckReader(origin, root / name, root)


class DuckReader:
    """Asks one file; a connection for each call, as an open file may not be written by others."""

    def __init__(self, origin: Sql, file: Path, root: Path) -> None:
        self._origin = origin
        self._file = file
        self._patience = origin.patience(root)
        self._times = origin.times or "aware"

    def marks(self, windows: Sequence[Window]) -> list[Mark | None]:
        """The row of the watermark query for each window."""
        query = watermark_query(self._origin)
        if query is None:
            return [None] * len(windows)
        return self._patience.call(lambda: self._marks(query, windows))

    def batches(self, window: Window, pin: Json) -> Iterator[pl.DataFrame]:
        """Rows in the query's order; DuckDB makes them as they are fetched."""
        self._patience.pace()
        with self._connection() as connection:
            result = connection.execute(*self._bound(self._origin.query, window))
            names = [column[0] for column in result.description]
            types = {column[0]: _type(str(column[1])) for column in result.description}
            columns = Columns(names, {name: each for name, each in types.items() if each}, self._origin.types)
            rows = result.fetchmany(BATCH_ROWS)
            yield columns.table(rows)
            while rows := result.fetchmany(BATCH_ROWS):
                yield columns.table(rows)

    def _marks(self, query: str, windows: Sequence[Window]) -> list[Mark | None]:
        found: list[Mark | None] = []
        with self._connection() as connection:
            for window in windows:
                rows = connection.execute(*self._bound(query, window)).fetchmany(2)
                if len(rows) != 1:
                    raise DataRefused("The query of a watermark gives one row.", given=f"{len(rows)} or more rows")
                found.append(mark_of(rows[0]))
        return found

    def _bound(self, query: str, window: Window) -> tuple[str, dict[str, Any]]:
        return _BOUND.sub(r"$\1", query), bound(self._origin, window, self._times)

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            with duckdb.connect(str(self._file), read_only=True) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                yield connection
        except duckdb.Error as error:
            passing = isinstance(error, duckdb.IOException)  # somebody writes the file
            raise AdapterError("DuckDB did not answer a source's query.", given=str(error), passing=passing) from None


def _type(name: str) -> Any:
    return pl.Float64 if name.startswith("DECIMAL") else _TYPES.get(name)
