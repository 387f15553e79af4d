"""A table spread over parts by the hash of its key, so that rows of one key meet in parts of a bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import polars as pl

__all__ = ["Spread"]

_PART = "__kairos_part"


class Spread:
    """Rows in parts: in memory if there is one part, else in files below a folder of their own.

    Rows with equal values in the columns ``by`` come to the same part, in every table that is spread in this process:
    the hash is that of Polars, which depends on values alone once the types are the same.

    Args:
        folder: Where its files go; made when needed.
        by: The columns.
        parts: How many.
    """

    def __init__(self, folder: Path, *, by: Sequence[str], parts: int) -> None:
        self._folder, self._by, self._parts = folder, list(by), parts
        self._kept: list[pl.DataFrame] = []
        self._files: list[list[Path]] = [[] for _ in range(parts)]
        if parts > 1:
            folder.mkdir(parents=True)

    def fill(self, batches: Iterable[pl.DataFrame], look: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        """Takes all batches in; ``look`` is shown each one, and gives what is kept of it."""
        for number, batch in enumerate(batches):
            rows = look(batch)
            if self._parts == 1:
                self._kept.append(rows)
            else:
                self._put(number, rows)

    def part(self, number: int) -> pl.DataFrame | None:
        """The rows of one part, in their order; ``None`` if it has none. Its files are removed."""
        if self._parts == 1:
            rows, self._kept = self._kept, []
            return pl.concat(rows) if rows else None
        files = self._files[number]
        if not files:
            return None
        rows = [pl.read_ipc(file) for file in files]
        for file in files:
            file.unlink()
        return pl.concat(rows)

    def _put(self, number: int, rows: pl.DataFrame) -> None:
        which = rows.select(self._by).hash_rows(seed=20110101) % self._parts
        parts = rows.with_columns(which.alias(_PART)).partition_by(_PART, as_dict=True, include_key=False)
        for (part,), some in parts.items():
            file = self._folder / f"{part}-{number}.arrow"
            some.write_ipc(file, compression="uncompressed")  # a fifth less work than with lz4
            self._files[part].append(file)
