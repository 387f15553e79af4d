"""A table as it lies in files, read in pieces: Parquet, CSV, JSON lines, Arrow IPC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from kairos.errors import StoreError

__all__ = ["Format", "TableFiles", "format_of"]

Format = Literal["parquet", "csv", "jsonl", "arrow"]

_SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
}
_PACKED = (".gz", ".zst")
_CELLS = 4_000_000
"""Of one piece: rows times columns."""
_MOST_ROWS, _FEWEST_ROWS = 500_000, 1_000
_LOOKED_AT = 10_000
"""Rows of a text file from which the types of its columns are guessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFiles:
    """One table: a file, or several with the same columns, in their order."""

    name: str
    """As a person called it."""
    format: Format
    paths: tuple[Path, ...]
    texts: frozenset[str] = frozenset()
    """Columns of CSV and JSON lines that are text, whatever they look like."""

    def scan(self) -> pl.LazyFrame:
        """The table, not read yet.

        Raises:
            StoreError: it cannot be read as what it seems to be.
        """
        paths = list(self.paths)
        texts = dict.fromkeys(sorted(self.texts), pl.String) or None
        with self.named():
            match self.format:
                case "parquet":
                    return pl.scan_parquet(paths, glob=False)
                case "arrow":
                    return pl.scan_ipc(paths, glob=False)
                case "jsonl":
                    return pl.scan_ndjson(paths, infer_schema_length=_LOOKED_AT, schema_overrides=texts)
                case "csv":
                    return pl.scan_csv(paths, infer_schema_length=_LOOKED_AT, schema_overrides=texts, glob=False)

    def schema(self) -> pl.Schema:
        """Names and types of the columns; of text files as the first 10,000 rows look.

        Raises:
            StoreError: as for ``scan``.
        """
        with self.named():
            return self.scan().collect_schema()

    def batches(self) -> Iterator[pl.DataFrame]:
        """The rows in their order, some hundred thousand at once.

        Raises:
            StoreError: as for ``scan``; also from the middle of the table.
        """
        rows = min(max(_CELLS // max(len(self.schema()), 1), _FEWEST_ROWS), _MOST_ROWS)
        with self.named():
            yield from self.scan().collect_batches(chunk_size=rows, maintain_order=True, engine="streaming")

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows.

        Raises:
            StoreError: as for ``scan``.
        """
        with self.named():
            return self.scan().head(rows).collect()

    def height(self) -> int:
        """The number of rows.

        Raises:
            StoreError: as for ``scan``.
        """
        with self.named():
            return int(self.scan().select(pl.len()).collect(engine="streaming").item())

    @contextmanager
    def named(self) -> Iterator[None]:
        """What goes wrong while it is read is told with its name.

        Raises:
            StoreError: as for ``scan``.
        """
        try:
            yield
        except (pl.exceptions.PolarsError, OSError) as error:
            raise StoreError(
                f"{self.name} cannot be read as {_WORDS[self.format]}.",
                given=str(error).splitlines()[0][:300],
                accepted="a table as Parquet, CSV with a header, JSON lines or Arrow IPC",
            ) from error


_WORDS: dict[Format, str] = {"parquet": "Parquet", "csv": "CSV", "jsonl": "JSON lines", "arrow": "Arrow IPC"}


def format_of(path: Path, name: str) -> Format:
    """What a file holds: by the end of its name, or by its first bytes if the name says nothing, as a blob's.

    Args:
        path: The file.
        name: What it is called where it belongs.

    Raises:
        StoreError: neither says that it is a table.
    """
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    if suffixes and suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"ARROW1"):
        return "arrow"
    if b"\0" in head:
        raise StoreError(
            f"{name or path.name} is no table.", accepted="Parquet, CSV with a header, JSON lines or Arrow IPC"
        )
    return "jsonl" if head.lstrip().startswith(b"{") else "csv"
