"""Two versions of a table compared, each read once; what has to be kept meanwhile lies on disk in parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from kairos.pipeline.diff.columns import ColumnTally, moved
from kairos.pipeline.diff.files import TableFiles
from kairos.pipeline.diff.result import ColumnDiff, Example, RowCounts, TableDiff
from kairos.pipeline.diff.rows import compare_rows
from kairos.pipeline.diff.shape import Shape, shape_of
from kairos.pipeline.diff.spread import Spread

__all__ = ["compare_tables"]

_PART_BYTES = 96 << 20
"""Of the rows that are compared at once, both versions together, as they lie in memory."""
_MOST_PARTS = 512


def compare_tables(
    before: TableFiles, after: TableFiles, *, key: Sequence[str] = (), workdir: Path, examples: int = 0
) -> TableDiff:
    """What differs between two tables.

    Memory does not grow with the number of rows: both are read once, in batches, and spread over files by the hash of
    the key (or of the whole row), so that only rows that can meet are in memory together. A key that a large part of
    all rows has is the exception. Comparing is exact; only distances rest on a sample.

    Args:
        before: The earlier version.
        after: The later one.
        key: Columns that name a row; none: rows are compared as a whole, in any order.
        workdir: An empty folder with room for both tables.
        examples: How many rows that were added, removed and changed are shown, at most.

    Raises:
        UsageError: the key is not in both, or nothing is.
        StoreError: a table cannot be read.
    """
    schemas = before.schema(), after.schema()
    shape = shape_of(*schemas, key)
    parts = _parts(before, after, shape)
    tallies = [ColumnTally(schema) for schema in schemas]
    by = list(shape.key) or list(shape.types)
    spreads = [Spread(workdir / side, by=by, parts=parts) for side in ("before", "after")]
    for files, tally, spread in zip((before, after), tallies, spreads, strict=True):

        def look(batch: pl.DataFrame, tally: ColumnTally = tally) -> pl.DataFrame:
            tally.add(batch)
            return shape.comparable(batch)

        spread.fill(files.batches(), look)
    rows, changed, shown = RowCounts(), Counter[str](), list[Example]()
    nothing = pl.DataFrame(schema=shape.types)
    for number in range(parts):
        one, other = (spread.part(number) for spread in spreads)
        found = compare_rows(
            nothing if one is None else one, nothing if other is None else other, shape, examples=examples
        )
        rows += found.rows
        changed.update(found.changed)
        shown = _few([*shown, *found.examples], examples)
    return TableDiff(
        before=before.name,
        after=after.name,
        rows_before=tallies[0].rows,
        rows_after=tallies[1].rows,
        key=shape.key,
        rows=rows,
        columns=_columns(tallies[0], tallies[1], schemas, shape, changed),
        sampled=max(tally.sampled for tally in tallies),
        examples=tuple(shown),
    )


def _columns(
    before: ColumnTally, after: ColumnTally, schemas: tuple[pl.Schema, pl.Schema], shape: Shape, changed: Counter[str]
) -> tuple[ColumnDiff, ...]:
    found = []
    for name in dict.fromkeys([*schemas[1], *schemas[0]]):
        is_common = name in shape.types
        distance, has_moved = moved(before.sample(name), after.sample(name)) if is_common else (None, False)
        found.append(
            ColumnDiff(
                name=name,
                before=before.facts(name),
                after=after.facts(name),
                changed=changed[name] if shape.key and name in shape.values else None,
                distance=distance,
                has_moved=has_moved,
            )
        )
    return tuple(found)


def _few(examples: Sequence[Example], most: int) -> list[Example]:
    kept: list[Example] = []
    for how in ("added", "removed", "changed"):
        kept += [each for each in examples if each.how == how][:most]
    return kept


def _parts(before: TableFiles, after: TableFiles, shape: Shape) -> int:
    """So many that one part of both fits into memory; 1 if they fit as they are."""
    size = 0.0
    for files in (before, after):
        head, rows = files.head(1000), files.height()
        if head.height:
            size += shape.comparable(head).estimated_size() / head.height * rows
    return min(max(round(size / _PART_BYTES + 0.5), 1), _MOST_PARTS)
