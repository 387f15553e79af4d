"""Rows of PostgreSQL, MySQL, MariaDB and SQLite, from a cursor on the server, through SQLAlchemy."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, make_url

from kairos.adapters.sqlalchemy.types import told_types
from kairos.errors import AdapterError, AdapterMissing, DataRefused, UsageError
from kairos.pipeline.origins.declared import Sql
from kairos.pipeline.origins.querying import BATCH_ROWS, Columns, bound, mark_of, watermark_query
from kairos.pipeline.origins.secrets import filled
from kairos.pipeline.ports import Mark
from kairos.values import Json, Window

__all__ = ["open_reader"]

_DRIVERS = {
    "postgresql": ("postgresql+psycopg", "psycopg", "postgres"),
    "postgres": ("postgresql+psycopg", "psycopg", "postgres"),
    "mysql": ("mysql+pymysql", "pymysql", "mysql"),
    "mariadb": ("mysql+pymysql", "pymysql", "mysql"),
    "sqlite": ("sqlite", "sqlite3", ""),
}
"""Database to SQLAlchemy's name, the driver's module, and the extra."""
_TIMES = {"postgresql": "aware", "mysql": "naive", "sqlite": "text"}


def open_reader(origin: Sql, root: Path) -> SqlReader:
    """Reads a database that SQLAlchemy speaks with; files of SQLite are looked for below the project's folder.

    Raises:
        UsageError: there is no such database.
        AdapterMissing: its driver is not installed.
    """
    try:
        url = make_url(filled(origin.url))
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(
            "Sql(...) has no address of a database.", accepted="postgresql://, mysql://, mariadb://, sqlite:///"
        ) from None
    database = url.drivername.partition("+")[0]
    if database not in _DRIVERS:
        raise UsageError(
            "Sql(...) names a database that is not known.",
            given=database,
            accepted=", ".join((*_DRIVERS, "duckdb")),
        )
    driver, module, extra = _DRIVERS[database]
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        raise AdapterMissing(
            f"A source reads {database}, and {module} is not installed.",
            hint=f"Type: pip install 'kairos-ml[{extra}]'",
        ) from None
    return SqlReader(origin, url.set(drivername=driver), root)


class SqlReader:
    """Asks one database; a connection for each call, so that none is kept while a step works."""

    def __init__(self, origin: Sql, url: URL, root: Path) -> None:
        self._origin = origin
        self._patience = origin.patience(root)
        self._database = url.get_backend_name()
        self._times = origin.times or _TIMES[self._database]
        self._engine = sa.create_engine(
            _connector_url(url, root),
            poolclass=sa.pool.NullPool,
            connect_args=_limits(self._database, self._patience.timeout_s),
            hide_parameters=True,
        )

    def marks(self, windows: Sequence[Window]) -> list[Mark | None]:
        """The row of the watermark query for each window, over one connection."""
        query = watermark_query(self._origin, "`" if self._database == "mysql" else '"')
        if query is None:
            return [None] * len(windows)
        return self._patience.call(lambda: self._marks(sa.text(query), windows))

    def batches(self, window: Window, pin: Json) -> Iterator[pl.DataFrame]:
        """Rows in the query's order, from a cursor on the server."""
        self._patience.pace()
        with self._connection() as connection, _named():
            running = connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS)
            result = running.execute(sa.text(self._origin.query), bound(self._origin, window, self._times))
            columns = Columns(list(result.keys()), told_types(self._database, result.cursor), self._origin.types)
            is_empty = True
            for rows in result.partitions(BATCH_ROWS):
                is_empty = False
                yield columns.table(rows)
            if is_empty:
                yield columns.table([])

    def _marks(self, query: sa.TextClause, windows: Sequence[Window]) -> list[Mark | None]:
        found: list[Mark | None] = []
        with self._connection() as connection, _named():
            for window in windows:
                rows = connection.execute(query, bound(self._origin, window, self._times)).fetchmany(2)
                if len(rows) != 1:
                    raise DataRefused("The query of a watermark gives one row.", given=f"{len(rows)} or more rows")
                found.append(mark_of(rows[0]))
        return found

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with _named(), self._engine.connect() as connection:
            yield connection


def _connector_url(url: URL, root: Path) -> URL:
    if url.get_backend_name() != "sqlite":
        return url
    file = root / (url.database or "")
    if not file.is_file():  # SQLite would make an empty one
        raise UsageError("A source reads a file of SQLite that is not there.", given=url.database)
    # Read only, and no name with a '?' becomes an option.
    return url.set(
        database=f"file:{str(file).replace('%', '%25').replace('?', '%3f').replace('#', '%23')}"
    ).update_query_dict({"mode": "ro", "uri": "true"})


def _limits(database: str, timeout_s: float) -> dict[str, Any]:
    seconds = max(1, round(timeout_s))
    if database == "postgresql":
        return {"connect_timeout": seconds, "options": f"-c statement_timeout={round(timeout_s * 1000)}"}
    if database == "mysql":
        return {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds, "charset": "utf8mb4"}
    return {"timeout": timeout_s}


@contextmanager
def _named() -> Iterator[None]:
    """Errors of the database as ours; one that may pass says so."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        passing = error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
        text = str(error.orig).strip()
        if "no such" in text or "syntax error" in text:  # SQLite calls a mistake in the query operational, too
            passing = False
        raise AdapterError("A database did not answer a source's query.", given=text, passing=passing) from None
    except sa.exc.SQLAlchemyError as error:
        raise AdapterError("A database did not answer a source's query.", given=str(error)) from None
