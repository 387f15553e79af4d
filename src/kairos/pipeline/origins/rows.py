"""The rows of one window at an origin, as a source is given them: read when asked for, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kairos.errors import AdapterError, DataRefused
from kairos.pipeline.origins.patience import Patience
from kairos.pipeline.origins.watching import GRACE_S, Silent, Watch

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ROW_GROUP", "Rows", "write_batches"]

Batches = Callable[[], Iterator["pl.DataFrame"]]
ROW_GROUP = 100_000
"""Rows of a piece of the Parquet file; the same however the batches came, so that equal rows give equal bytes."""


class Rows:
    """Rows that are read from their origin when they are asked for; return it to store them without holding them all.

    Args:
        batches: Begins to read; tables of the same columns and types, in the origin's order.
        patience: How often it is begun.
    """

    def __init__(self, batches: Batches, patience: Patience | None = None) -> None:
        self._batches = batches if patience is None else lambda: _watched(batches, patience.timeout_s)
        self._patience = patience or Patience(tries=1)

    @classmethod
    def of(cls, table: pl.DataFrame) -> Rows:
        """Rows of a table at hand, for a test of a source."""
        return cls(lambda: iter([table]))

    def map(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Rows:
        """The rows after ``change``, which is called with one batch at a time."""
        changed = Rows(lambda: map(change, self._batches()))
        changed._patience = self._patience
        return changed

    def batches(self) -> Iterator[pl.DataFrame]:
        """The rows piece by piece; a connection that is lost in the middle is the caller's to see to."""
        return self._batches()

    def table(self) -> pl.DataFrame:
        """All rows as one table.

        Raises:
            DataRefused: batches have other columns or types than the first.
        """
        import polars as pl

        return self._patience.call(lambda: pl.concat(list(_alike(self._batches())) or [pl.DataFrame()]))

    def write(self, path: Path) -> tuple[int, list[str]]:
        """Writes a Parquet file; memory holds a few batches only.

        Returns:
            The number of rows, and the columns.
        """
        return self._patience.call(lambda: write_batches(self._batches(), path))


def _watched(batches: Batches, timeout_s: float) -> Iterator[pl.DataFrame]:
    try:
        yield from Watch(timeout_s + GRACE_S).items(batches)
    except Silent as error:
        raise AdapterError(
            "An origin went silent in the middle of a source's rows.", given=str(error), passing=True
        ) from None


def write_batches(batches: Iterator[pl.DataFrame], path: Path) -> tuple[int, list[str]]:
    """Writes tables below each other as one Parquet file, whose bytes depend on the rows alone.

    Raises:
        DataRefused: batches have other columns or types than the first.
    """
    import polars as pl
    from polars.io.plugins import register_io_source

    alike = _alike(batches)
    first = next(alike, pl.DataFrame())
    count = 0
    raised: list[BaseException] = []

    def feed(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        nonlocal count
        try:
            for batch in _first_and(first, alike):
                count += batch.height
                yield batch
        except BaseException as error:  # Polars would tell its text only
            raised.append(error)
            raise

    if not first.width:
        pl.DataFrame().write_parquet(path)
        return 0, []
    frame = register_io_source(feed, schema=first.schema)
    try:
        frame.sink_parquet(
            path,
            compression="zstd",
            compression_level=3,
            statistics=True,
            row_group_size=ROW_GROUP,
            maintain_order=True,
        )
    except pl.exceptions.PolarsError:
        if raised:
            raise raised[0] from None
        raise
    return count, first.columns


def _first_and(first: pl.DataFrame, others: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    yield first
    yield from others


def _alike(batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    schema = None
    for batch in batches:
        if schema is None:
            schema = batch.schema
        elif batch.schema != schema:
            differ = [
                f"{name}: {schema.get(name)} and {batch.schema.get(name)}"
                for name in dict.fromkeys([*schema, *batch.schema])
                if schema.get(name) != batch.schema.get(name)
            ]
            raise DataRefused(
                "Pieces of one origin have columns or types that differ.",
                given="; ".join(differ) or "another order of columns",
                hint="Name the types: types={'COLUMN': pl.Int64}.",
            )
        yield batch
