"""Rows of a resource of dlt, which is asked for one window at a time and loaded nowhere.

dlt's own pipelines keep where they got to, and write to a destination. Here a run names its window, so a resource is
asked for exactly that, as dlt does for back-fills: with an end value it keeps no state. Items are taken as they come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl
from dlt.common.configuration.container import Container

from kairos.adapters.dlt.asking import told_errors, with_patience
from kairos.adapters.dlt.making import made, secrets_from_environment_only
from kairos.adapters.dlt.windowing import HINTS, interval, within
from kairos.errors import DataRefused
from kairos.pipeline.origins.querying import BATCH_ROWS, Columns
from kairos.pipeline.origins.resources import Dlt
from kairos.pipeline.ports import Mark
from kairos.values import Json, Window, canonical_json

__all__ = ["open_reader"]

_MOST_MARKS = 1_000
"""Items that a watermark may be made of: it is asked for in each run."""


def open_reader(origin: Dlt, root: Path) -> DltReader:
    """Reads one resource; nothing is made before it is asked."""
    return DltReader(origin, root)


class DltReader:
    """Asks one resource of dlt, made or copied anew for each window."""

    def __init__(self, origin: Dlt, root: Path) -> None:
        self._origin = origin
        self._patience = origin.patience(root)

    def marks(self, windows: Sequence[Window]) -> list[Mark | None]:
        """The items of the resource that is the watermark, for each window; ``None`` if none was declared."""
        if self._origin.watermark is None:
            return [None] * len(windows)
        return [self._patience.call(lambda window=window: self._mark(window)) for window in windows]  # type: ignore[misc]

    def batches(self, window: Window, pin: Json) -> Iterator[pl.DataFrame]:
        """Items as rows, in the order in which the resource gives them."""
        origin = self._origin
        with secrets_from_environment_only(), told_errors(), made(origin.of, origin.resource) as resource:
            within(with_patience(resource, self._patience), origin, window)
            told = _told_types(resource)
            rows = _Rows({**told, **origin.types}, set(origin.types))
            is_empty = True
            for table in rows.tables(_pieces(resource, window)):
                is_empty = False
                yield table
            if is_empty and origin.types:
                yield pl.DataFrame(schema=dict(origin.types))

    def _mark(self, window: Window) -> Mark:
        origin = self._origin
        named = isinstance(origin.watermark, str)
        of, name = (origin.of, origin.watermark) if named else (origin.watermark, None)
        with secrets_from_environment_only(), told_errors(), made(of, name) as resource:
            within(with_patience(resource, self._patience), origin, window, must_have=False)
            items = list(islice(chain.from_iterable(_pieces(resource, window)), _MOST_MARKS + 1))
        if len(items) > _MOST_MARKS:
            raise DataRefused(
                "A watermark of a resource of dlt is too long.",
                given=f"more than {_MOST_MARKS:,} items",
                accepted="a resource that tells of a window in a few items, such as a count and a latest time",
            )
        told = canonical_json([_plain(item) for item in items])
        return Mark(text=f"{len(items)} items {hashlib.sha256(told).hexdigest()[:32]}")


def _pieces(resource: Any, window: Window) -> Iterator[list[Any]]:
    """Items as they come: so many dicts, the last of which may be a table of another library instead.

    The window is there for a resource's own code, as ``dlt.current.interval()``, in whichever thread asks.
    """
    items: Iterator[Any] | None = None
    while True:
        piece: list[Any] = []
        with Container().injectable_context(interval(window)):
            items = iter(resource) if items is None else items
            for item in items:
                piece.append(item)
                if not isinstance(item, Mapping) or len(piece) == BATCH_ROWS:
                    break
        if not piece:
            return
        yield piece


class _Rows:
    """Turns items into tables of the same columns and types; what the first batch settles is so for all."""

    def __init__(self, types: Mapping[str, Any], declared: set[str]) -> None:
        self._types = types
        self._declared = declared
        self._columns: Columns | None = None
        self._names: list[str] = []

    def tables(self, pieces: Iterator[list[Any]]) -> Iterator[pl.DataFrame]:
        for piece in pieces:
            frame = None if isinstance(piece[-1], Mapping) else piece.pop()
            if piece:
                yield self._table(piece)
            if frame is not None:
                yield _frame(frame)

    def _table(self, rows: list[Mapping[str, Any]]) -> pl.DataFrame:
        if self._columns is None:
            names = dict.fromkeys(chain.from_iterable(rows)) | dict.fromkeys(self._declared)
            self._names = [str(name) for name in names]
            types = {name: dtype for name, dtype in self._types.items() if name in names}
            self._columns = Columns(self._names, types, {})
        known = set(self._names)
        if late := sorted({str(name) for row in rows for name in row if name not in known}):
            raise DataRefused(
                f"Items of a resource of dlt have fields that the first {BATCH_ROWS:,} lack.",
                given=", ".join(late),
                hint=f"Name them: types={{{late[0]!r}: pl.String}}.",
            )
        return self._columns.table([[row.get(name) for name in self._names] for row in rows])


def _frame(item: Any) -> pl.DataFrame:
    """A table of another library as one of Polars."""
    if isinstance(item, pl.DataFrame):
        return item
    kind = type(item).__module__.partition(".")[0]
    if kind == "pyarrow":
        found = pl.from_arrow(item)
        return found if isinstance(found, pl.DataFrame) else found.to_frame()
    if kind == "pandas":
        return pl.DataFrame(pl.from_pandas(item))
    raise DataRefused(
        "A resource of dlt gives what is no row.",
        given=type(item).__name__,
        accepted="dicts, or tables of Polars, pandas or Arrow",
        hint="Turn it into a dict: resource.add_map(...).",
    )


def _told_types(resource: Any) -> dict[str, Any]:
    """Types that the resource's own hints tell."""
    found: dict[str, Any] = {}
    for name, column in resource.compute_table_schema().get("columns", {}).items():
        if (dtype := HINTS.get(column.get("data_type"))) is not None:
            found[name] = dtype
    return found


def _plain(item: Any) -> Json:
    if isinstance(item, Mapping):
        return {str(name): _plain(value) for name, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(value) for value in item]
    if item is None or isinstance(item, str | int | float | bool):
        return item
    return str(item)
