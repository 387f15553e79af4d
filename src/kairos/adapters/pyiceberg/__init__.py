"""Rows of Iceberg tables, pinned to a snapshot, through PyIceberg."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError, RESTError
from pyiceberg.expressions import And, BooleanExpression, GreaterThanOrEqual, LessThan
from pyiceberg.types import TimestamptzType

from kairos.errors import AdapterError
from kairos.pipeline.origins.declared import Iceberg, zone_of
from kairos.pipeline.origins.secrets import filled
from kairos.pipeline.ports import Mark
from kairos.values import Json, Window, canonical_json

__all__ = ["open_reader"]


def open_reader(origin: Iceberg, root: Path) -> IcebergReader:
    """Reads a table of a catalog."""
    return IcebergReader(origin, root)


class IcebergReader:
    """Asks one table."""

    def __init__(self, origin: Iceberg, root: Path) -> None:
        self._origin = origin
        self._patience = origin.patience(root)

    def marks(self, windows: Sequence[Window]) -> list[Mark | None]:
        """The data files and deletions that may concern rows of each window, by the manifests."""
        return self._patience.call(lambda: self._marks(windows))

    def batches(self, window: Window, pin: Json) -> Iterator[pl.DataFrame]:
        """Rows at the snapshot; a table that has none yet has no rows."""
        self._patience.pace()
        with _named():
            table = self._table()
            if pin == "empty":
                return
            scan = table.scan(row_filter=self._filter(table, window), snapshot_id=int(pin))
            with scan.to_arrow_batch_reader() as reader:
                is_empty = True
                for batch in reader:
                    if batch.num_rows or is_empty:
                        is_empty = False
                        yield pl.DataFrame(pl.from_arrow(batch))
                if is_empty:
                    yield pl.DataFrame(pl.from_arrow(reader.schema.empty_table()))

    def _marks(self, windows: Sequence[Window]) -> list[Mark | None]:
        with _named():
            table = self._table()
            snapshot = table.current_snapshot()
            if snapshot is None:
                return [Mark(text="no snapshot", pin="empty") for _ in windows]
            found: list[Mark | None] = []
            for window in windows:
                scan = table.scan(row_filter=self._filter(table, window), snapshot_id=snapshot.snapshot_id)
                files = sorted(
                    [task.file.file_path, *sorted(each.file_path for each in task.delete_files)]
                    for task in scan.plan_files()
                )
                sha = hashlib.sha256(canonical_json(files)).hexdigest()
                # As text: JavaScript and JSON's readers round a number of 64 bits.
                found.append(Mark(text=f"{len(files)} files {sha[:32]}", pin=str(snapshot.snapshot_id)))
            return found

    def _table(self) -> Any:
        properties = {name: filled(value) for name, value in self._origin.catalog.items()}
        return load_catalog("kairos", **properties).load_table(self._origin.table)

    def _filter(self, table: Any, window: Window) -> BooleanExpression:
        time = self._origin.time
        moments = [window.start, window.end]
        if not isinstance(table.schema().find_field(time).field_type, TimestamptzType):
            zone = zone_of(self._origin.zone)
            moments = [moment.astimezone(zone).replace(tzinfo=None) for moment in moments]
        start, end = (moment.isoformat() for moment in moments)
        return And(GreaterThanOrEqual(time, start), LessThan(time, end))


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except (NoSuchTableError, NoSuchNamespaceError) as error:
        raise AdapterError("A catalog has no such Iceberg table.", given=str(error)) from None
    except (RESTError, OSError) as error:
        raise AdapterError("An Iceberg table did not answer a source.", given=str(error), passing=True) from None
