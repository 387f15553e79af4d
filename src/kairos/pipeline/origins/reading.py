"""Files of any shelf as rows of a window: which they are, what their watermark is, and their rows in batches."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import polars as pl

from kairos.errors import DataRefused, did_you_mean
from kairos.pipeline.origins.declared import Files, zone_of
from kairos.pipeline.origins.places import names_for
from kairos.pipeline.ports import Mark
from kairos.values import Json, Window, without_secrets

__all__ = ["FileReader", "Shelf", "within"]

BATCH_ROWS = 50_000


class Shelf(Protocol):
    """Where files lie."""

    def stamps(self, patterns: Sequence[str]) -> Mapping[str, str]:
        """Names of the files there are, sorted, each with a text that changes when its content does.

        A name that is a pattern stands for all that fit it.
        """
        ...

    def fetch(self, name: str, folder: Path) -> Path:
        """The file on this machine, itself or as a copy in the empty folder."""
        ...


class FileReader:
    """Reads ``Files``.

    Args:
        origin: What was declared, with its place filled in.
        place: Where.
        shelf: What has them.
        root: The project's folder.
    """

    def __init__(self, origin: Files, place: str, shelf: Shelf, root: Path) -> None:
        self._origin = origin
        self._place = place
        self._shelf = shelf
        self._patience = origin.patience(root)

    def marks(self, windows: Sequence[Window]) -> list[Mark | None]:
        """Names and stamps of the files of each window."""
        names = [self._names(window) for window in windows]
        wanted = list(dict.fromkeys(name for each in names for name in each))
        # One look at each pattern, however many windows it is about.
        found = {name: self._patience.call(lambda name=name: self._shelf.stamps([name])) for name in wanted}  # type: ignore[misc]
        return [_mark({file: stamp for name in each for file, stamp in found[name].items()}) for each in names]

    def batches(self, window: Window, pin: Json) -> Iterator[pl.DataFrame]:
        """Rows of the window, file after file; nothing if there is no file, as its columns are not known then."""
        origin = self._origin
        self._patience.pace()
        files = list(self._shelf.stamps(self._names(window)))
        for name in files:
            with tempfile.TemporaryDirectory(prefix="kairos-") as folder:
                self._patience.pace()
                path = self._shelf.fetch(name, Path(folder))
                try:
                    yield from within(
                        _scan(_unpacked(path, Path(folder)), origin, name),
                        time=origin.time,
                        zone=origin.zone,
                        window=window,
                        of=name,
                    )
                except pl.exceptions.PolarsError as error:
                    raise DataRefused(f"{name!r} cannot be read as {origin.read_as()}.", given=str(error)) from error

    def _names(self, window: Window) -> list[str]:
        overlapping = self._origin.time is not None
        return names_for(self._place, window, zone=zone_of(self._origin.zone), overlapping=overlapping)


def within(frame: pl.LazyFrame, *, time: str | None, zone: str, window: Window, of: str) -> Iterator[pl.DataFrame]:
    """Rows of a window in batches, in the order in which they are; always one batch at least.

    Args:
        frame: All rows.
        time: Column of their times; ``None``: all are of the window.
        zone: Of the column, if it has none.
        window: Asked for.
        of: Whose rows, for messages.

    Raises:
        DataRefused: there is no such column, it is no time, or a row has none.
    """
    schema = frame.collect_schema()
    if time is not None:
        moment = _moment(schema, time, zone, of)
        frame = frame.filter(moment.is_between(window.start, window.end, closed="left") | pl.col(time).is_null())
    is_empty = True
    for batch in frame.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        if time is not None and (missing := batch[time].null_count()):
            raise DataRefused(
                f"{missing} rows of {of!r} have no {time!r}, so no window is theirs.",
                hint="Leave out time= if the file's name says which window it is about.",
            )
        is_empty = False
        yield batch
    if is_empty:
        yield pl.DataFrame(schema=schema)


def _moment(schema: Mapping[str, pl.DataType], time: str, zone: str, of: str) -> pl.Expr:
    dtype = schema.get(time)
    column = pl.col(time)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return column.dt.convert_time_zone("UTC")
    if isinstance(dtype, pl.String):
        column = column.str.to_datetime(time_unit="us", strict=True)
    elif isinstance(dtype, pl.Date):
        column = column.cast(pl.Datetime("us"))
    elif not isinstance(dtype, pl.Datetime):
        raise DataRefused(
            f"{of!r} has no times in column {time!r}.",
            given="no such column" if dtype is None else str(dtype),
            accepted="a time, a date, or ISO text",
            hint=f"Columns: {', '.join(schema)}." if dtype is None else f"Write types={{{time!r}: pl.Datetime}}.",
        )
    # Of the two hours that a clock shows alike when it is put back, the first: nothing tells them apart.
    aware = column.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="raise")
    return aware.dt.convert_time_zone("UTC")


def _scan(path: Path, origin: Files, of: str) -> pl.LazyFrame:
    """All rows of a file.

    Raises:
        DataRefused: a type is declared for a column that it does not have; Polars would pass over it.
    """
    frame = _scanned(path, origin)
    if origin.types:
        try:
            found = _names(path, origin)
        except pl.exceptions.SchemaFieldNotFoundError as error:
            raise _no_column(of, [str(error)], None) from error
        if unknown := [name for name in origin.types if name not in found]:
            raise _no_column(of, unknown, found)
    return frame


def _names(path: Path, origin: Files) -> Sequence[str]:
    """Columns of a file, without reading all of it to find their types where that is not needed."""
    if origin.read_as() == "csv":
        frame = pl.scan_csv(path, separator=origin.separator, infer_schema_length=0, glob=False)
    else:
        frame = _scanned(path, origin if origin.read_as() == "jsonl" else replace(origin, types={}))
    return frame.collect_schema().names()


def _no_column(of: str, unknown: Sequence[str], found: Sequence[str] | None) -> DataRefused:
    return DataRefused(
        f"types= names columns that {of!r} does not have.",
        given=", ".join(unknown),
        accepted=None if found is None else ", ".join(found),
        hint=None if found is None else did_you_mean(unknown[0], found),
    )


def _scanned(path: Path, origin: Files) -> pl.LazyFrame:
    types = {name: _dtype(dtype) for name, dtype in origin.types.items()}
    match origin.read_as():
        case "csv":  # all rows are looked at: the first hundred may be whole numbers by chance
            return pl.scan_csv(
                path, separator=origin.separator, schema_overrides=types, infer_schema_length=None, glob=False
            )
        case "jsonl":
            return pl.scan_ndjson(path, schema_overrides=types, infer_schema_length=None)
        case "parquet":
            frame = pl.scan_parquet(path, glob=False)
        case _:
            frame = pl.scan_ipc(path)
    return frame.cast(types) if types else frame  # type: ignore[arg-type]


def _dtype(dtype: object) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype  # type: ignore[return-value]


def _unpacked(path: Path, folder: Path) -> Path:
    if path.suffix != ".gz":
        return path
    target = folder / "unpacked"
    try:
        with gzip.open(path) as packed, target.open("wb") as whole:
            shutil.copyfileobj(packed, whole, 1 << 20)
    except (OSError, EOFError) as error:
        raise DataRefused(f"{path.name!r} is no whole gzip file.", given=str(error)) from error
    return target


def _mark(stamps: Mapping[str, str]) -> Mark:
    told = "\n".join(f"{without_secrets(name)}\t{stamp}" for name, stamp in sorted(stamps.items()))
    sha = hashlib.sha256(told.encode()).hexdigest()
    return Mark(text=f"{len(stamps)} files {sha[:32]}")
