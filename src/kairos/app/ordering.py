"""Tables of lists that are ranked piece by piece: no list is torn between two pieces, and none comes again later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from kairos.errors import DataRefused

__all__ = ["ranks_of", "whole_lists"]


def whole_lists(frames: Iterable[pl.DataFrame], column: str) -> Iterator[pl.DataFrame]:
    """The same rows in the same order, cut where a list ends; the last list of a frame waits for the next one.

    Args:
        frames: Of one table, in its order.
        column: Its rows are of one list where they are alike in it.

    Raises:
        DataRefused: the rows of a list do not stand together.
    """
    held: pl.DataFrame | None = None
    seen: set[int] = set()
    for frame in frames:
        rows = frame if held is None else pl.concat([held, frame])
        starts = _starts(rows, column)
        cut = int(starts[-1]) if starts.size else 0
        held = rows.slice(cut)
        if cut:
            _check_new(rows[starts[:-1]], column, seen)
            yield rows.head(cut)
    if held is not None and len(held):
        _check_new(held.head(1), column, seen)
        yield held


def ranks_of(frame: pl.DataFrame, column: str, scores: pl.Series) -> pl.Series:
    """The place of each row in its list, from 1 for the highest score, Int64; of equal scores the first is first.

    A row without a score, or of no list, has none.

    >>> frame = pl.DataFrame({"search": ["a", "a", "b", "a"]})
    >>> ranks_of(frame, "search", pl.Series([0.2, 0.9, 0.1, 0.2])).to_list()
    [2, 1, 1, 3]
    """
    rows = pl.DataFrame({"list": frame[column], "score": scores.fill_nan(None)})
    place = pl.col("score").rank("ordinal", descending=True).over("list").cast(pl.Int64)
    return rows.select(pl.when(pl.col("list").is_not_null()).then(place)).to_series()


def _starts(rows: pl.DataFrame, column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where another list begins than in the row before."""
    keys = rows.get_column(column)
    differs = keys.ne_missing(keys.shift()).to_numpy().copy()
    differs[:1] = True
    return np.flatnonzero(differs)


def _check_new(firsts: pl.DataFrame, column: str, seen: set[int]) -> None:
    """Refuses a list that was met before; ``seen`` grows by those of ``firsts``, of which it keeps hashes."""
    keys = firsts.get_column(column)
    for key, value in zip(keys, keys.hash(seed=0).to_list(), strict=True):
        if key is not None and value in seen:
            raise DataRefused(
                f"The rows of the list {key!r} do not stand together in the table, and are not ranked piece by piece.",
                accepted=f"a table in which the rows of one {column!r} follow each other",
                hint=f"Sort the table by {column!r}, or leave that column out: then there is no rank.",
            )
        seen.add(value)
