"""What of a version's inputs is watched: each column, and of a column of arrays each of its summaries."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.models.arrays import FREE
from kairos.models.profile import ColumnProfile, Profile
from kairos.models.summaries import LEAD, rounded, summary_words

__all__ = ["Watched", "summary_of", "watched_inputs", "watched_values"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One thing that may drift."""

    column: str
    """The input that it is, or is a summary of."""
    summary: str | None
    """Of arrays; ``None``: the column as it is."""
    profile: ColumnProfile
    """Whose bins it is counted in."""
    beside: int
    """How many are watched of this input, itself among them."""
    shape: tuple[int, ...] = ()
    """Of arrays that differ in length."""


def watched_inputs(profile: Profile) -> dict[str, Watched]:
    """By the name that a finding has: the column's, which is that of an array's mean too, or ``embedding (norm)``."""
    found: dict[str, Watched] = {}
    for name, column in profile.columns.items():
        beside = 1 + len(column.summaries)
        lead = LEAD if column.kind == "array" else None
        found[name] = Watched(column=name, summary=lead, profile=column, beside=beside, shape=column.shape)
    for name, column in profile.columns.items():
        for summary, own in column.summaries.items():
            told = replace(found[name], summary=summary, profile=own)
            found.setdefault(summary_words(name, summary), told)
    return found


def watched_values(each: Watched, values: pl.Series) -> pl.Series:
    """What is watched of each row of an input, as the log has it; of an array that is there a number."""
    if each.summary is None or not isinstance(values.dtype, pl.List):
        return values
    return pl.Series(summary_of(each.summary, values, each.shape))


def summary_of(summary: str, cells: pl.Series, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A summary of each cell as the prediction log has it, shape (n,), as ``models.summaries`` has it; NaN of no cell.

    Args:
        summary: Its name.
        cells: Lists of numbers.
        shape: Of arrays that differ in length: of several free axes their lengths stand before the numbers.
    """
    if shape.count(FREE) > 1:
        cells = cells.list.slice(shape.count(FREE))
    lists = cells.list
    match summary:
        case "norm":
            squares = lists.eval(pl.element() * pl.element()).list.sum()
            return rounded(np.sqrt(squares.cast(pl.Float64).to_numpy()))
        case "smallest":
            return rounded(lists.min().cast(pl.Float64).to_numpy())
        case "largest":
            return rounded(lists.max().cast(pl.Float64).to_numpy())
        case "length":
            inner = float(np.prod([length for length in shape if length != FREE]))
            return np.asarray(lists.len().cast(pl.Float64).to_numpy() / inner)
        case _:
            return np.asarray(lists.mean().cast(pl.Float64).to_numpy())
