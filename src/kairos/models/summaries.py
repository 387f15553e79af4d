"""What stands for an array where one number at a time is watched: a few numbers of each cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kairos.models.arrays import FREE

__all__ = ["LEAD", "SUMMARIES", "rounded", "summaries", "summaries_of_lists", "summary_words"]

Array = np.ndarray[Any, Any]

LEAD = "mean"
"""The one that a column of arrays is described by itself."""

SUMMARIES = ("norm", "smallest", "largest", "length")
"""Beside the mean: the Euclidean norm, the least and greatest number; of cells that differ in length, the length."""


def summaries(values: Array, shape: tuple[int, ...] = ()) -> dict[str, Array]:
    """The mean of each cell, its norm, its least and greatest number and, where cells differ, its length, shape (n,).

    The length is the number of places along the axes that are free: of a series of three channels its moments. An empty
    cell has length 0, norm 0, and nothing else (NaN). All but the mean are told to six digits.

    Args:
        values: Shape (n, *shape), or objects of shape (n,), each an array.
        shape: Of the column, where cells differ in length.

    Examples:
        >>> {name: found.tolist() for name, found in summaries(np.array([[3.0, -4.0]])).items()}
        {'mean': [-0.5], 'norm': [5.0], 'smallest': [-4.0], 'largest': [3.0]}
    """
    if values.dtype != np.object_:
        flat = values.reshape(len(values), -1).astype(np.float64, copy=False)
        norm = rounded(np.sqrt(np.einsum("ij,ij->i", flat, flat)))
        return {
            LEAD: flat.mean(axis=1),
            "norm": norm,
            "smallest": rounded(flat.min(axis=1)),
            "largest": rounded(flat.max(axis=1)),
        }
    return summaries_of_lists(
        [cell.ravel() for cell in values], inner=math.prod(length for length in shape if length != FREE)
    )


def summaries_of_lists(cells: Sequence[Array], *, inner: int = 1) -> dict[str, Array]:
    """The same of flat cells of any length.

    Args:
        cells: Each of shape (numbers,).
        inner: How many numbers one place has.
    """
    sizes = np.array([cell.size for cell in cells], dtype=np.int64)
    there = sizes > 0
    found = {name: np.full(len(cells), np.nan) for name in (LEAD, *SUMMARIES)}
    found["norm"], found["length"] = np.zeros(len(cells)), sizes / inner
    if there.any():
        flat = np.concatenate([cell for cell in cells if cell.size]).astype(np.float64, copy=False)
        starts = np.cumsum(sizes[there]) - sizes[there]
        found["mean"][there] = np.add.reduceat(flat, starts) / sizes[there]
        found["norm"][there] = rounded(np.sqrt(np.add.reduceat(flat * flat, starts)))
        found["smallest"][there] = rounded(np.minimum.reduceat(flat, starts))
        found["largest"][there] = rounded(np.maximum.reduceat(flat, starts))
    return found


def rounded(numbers: Array) -> Array:
    """To six digits: of vectors whose norm is 1 all norms are then 1, whoever adds up their squares.

    >>> rounded(np.array([0.99999994, -1234567.0, 0.0])).tolist()
    [1.0, -1234570.0, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        places = 10.0 ** (5 - np.floor(np.log10(np.abs(numbers))))
        return np.where(np.isfinite(places), np.round(numbers * places) / places, numbers)


def summary_words(name: str, summary: str) -> str:
    """How a summary of a column is named: ``embedding (norm)``."""
    return f"{name} ({summary})"
