"""Immutable Parquet files by day, and a memory of those already read.

``<folder>/<YYYY-MM-DD>/<roll, 8 digits>.parquet``: one file for each day and each roll that had rows for it.
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from kairos.store.files import write_atomically
from kairos.store.tables import parquet_bytes

__all__ = ["Shelf", "files_with_id", "read_files", "scan_files", "stack", "write_partitions"]


def write_partitions(folder: Path, roll: int, frame: pl.DataFrame) -> None:
    """Writes a roll's rows, one file for each UTC day of column ``at``; a file of the same roll is replaced."""
    days = frame.get_column("at").dt.date()
    for day in days.unique().sort():
        part = frame.filter(days == day)
        write_atomically(folder / day.isoformat() / f"{roll:08d}.parquet", parquet_bytes(part))


def read_files(files: Iterable[Path], schema: dict[str, Any]) -> pl.DataFrame:
    """Reads files into one table with at least the columns of ``schema``; a column missing in a file is null there."""
    return stack([pl.read_parquet(io.BytesIO(file.read_bytes())) for file in files], schema)


def stack(frames: Iterable[pl.DataFrame], schema: dict[str, Any]) -> pl.DataFrame:
    """Puts tables below each other; columns that differ in type become what holds both, text if need be."""
    return pl.concat([pl.DataFrame(schema=schema), *frames], how="diagonal_relaxed")


def files_with_id(files: list[Path], wanted: str) -> list[Path]:
    """Those of ``files`` that hold a row of that ``id``; of each file only this column is read."""
    if not files:
        return []
    rows = pl.scan_parquet(
        files, glob=False, schema={"id": pl.String}, extra_columns="ignore", include_file_paths="file"
    ).filter(pl.col("id") == wanted)
    return sorted(Path(file) for file in rows.collect().get_column("file").unique())


def scan_files(files: list[Path], columns: dict[str, Any], wanted: pl.Expr) -> pl.DataFrame:
    """The rows of ``files`` that are wanted; only these columns are read, and one that a file lacks is null there."""
    if not files:
        return pl.DataFrame(schema=columns)
    rows = pl.scan_parquet(files, glob=False, schema=columns, extra_columns="ignore", missing_columns="insert")
    return rows.filter(wanted).collect()


class Shelf:
    """Reads one folder of partitions, month by month, keeping what was read last. Not safe from several threads.

    Args:
        folder: Folder of the partitions.
        schema: Columns every table has.
        largest_bytes: About how much is kept.
    """

    def __init__(self, folder: Path, schema: dict[str, Any], largest_bytes: int = 256 << 20) -> None:
        self._folder = folder
        self._schema = schema
        self._largest_bytes = largest_bytes
        self._days: tuple[object, dict[str, list[str]]] | None = None
        self._files: dict[str, list[str]] = {}
        self._months: OrderedDict[str, tuple[tuple[str, ...], pl.DataFrame]] = OrderedDict()

    def forget(self) -> None:
        """Forgets which files there are; called when one of them has gone."""
        self._days = None

    def rows(self, start: datetime | None, end: datetime | None, *, roll: int, edition: object) -> list[pl.DataFrame]:
        """Tables that hold at least all rows with ``start <= at <= end`` of rolls up to ``roll``, in order of time.

        Args:
            start: First moment wanted, or ``None`` for all.
            end: Last moment wanted, or ``None`` for all.
            roll: Last finished roll; later files are ignored.
            edition: Changes whenever the files do.
        """
        first = start.astimezone(UTC).date().isoformat() if start else ""
        last = end.astimezone(UTC).date().isoformat() if end else "9999-99-99"
        return [
            self._month(month, [file for file in self._files_of(month, days) if int(file[11:19]) <= roll])
            for month, days in self._list(edition).items()
            if first[:7] <= month <= last[:7]
        ]

    def files(self) -> list[Path]:
        """Every file, sorted by day and roll."""
        return sorted(self._folder.glob("*/*.parquet"))

    def remove_days(self, is_old: Callable[[date], bool]) -> int:
        """Removes whole days; returns how many."""
        old = [folder for folder in self._folder.glob("????-??-??") if is_old(date.fromisoformat(folder.name))]
        for folder in old:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        self.forget()
        return len(old)

    def _list(self, edition: object) -> dict[str, list[str]]:
        """Days by month, both sorted; the files of a month are listed when it is asked for."""
        if self._days is None or self._days[0] != edition:
            months: dict[str, list[str]] = {}
            for day in sorted(os.listdir(self._folder)) if self._folder.is_dir() else []:
                months.setdefault(day[:7], []).append(day)
            self._days, self._files = (edition, months), {}
        return self._days[1]

    def _files_of(self, month: str, days: list[str]) -> list[str]:
        if month not in self._files:
            files = [f"{day}/{name}" for day in days for name in sorted(os.listdir(self._folder / day))]
            self._files[month] = [file for file in files if file.endswith(".parquet")]
        return self._files[month]

    def _month(self, month: str, files: list[str]) -> pl.DataFrame:
        known, frame = self._months.pop(month, ((), pl.DataFrame(schema=self._schema)))
        if known != tuple(files):
            if not set(known) <= set(files):
                known, frame = (), pl.DataFrame(schema=self._schema)
            fresh = read_files([self._folder / file for file in files if file not in set(known)], self._schema)
            frame = stack([frame, fresh], self._schema).rechunk()
        self._months[month] = (tuple(files), frame)
        while len(self._months) > 1 and sum(f.estimated_size() for _, f in self._months.values()) > self._largest_bytes:
            self._months.popitem(last=False)
        return frame
