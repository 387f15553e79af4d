"""What stands for an array where one number at a time is watched: a few numbers of each cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kairos.models.arrays import FREE

__all__ = ["LEAD", "SUMMARIES", "summaries", "summaries_of_lists", "summary_words"]

Array = np.ndarray[Any, Any]

LEAD = "mean"
"""The one that a column of arrays is described by itself."""

SUMMARIES = ("norm", "smallest", "largest", "length")
"""Beside the mean: the Euclidean norm, the least and greatest number; of cells that differ in length, the length."""


def summaries(values: Array, shape: tuple[int, ...] = ()) -> dict[str, Array]:
    """The mean of each cell, its norm, its least and greatest number and, where cells differ, its length, shape (n,).

    The length is the number of places along the axes that are free: of a series of three channels its moments. An empty
    cell has length 0, norm 0, and nothing else (NaN).

    Args:
        values: Shape (n, *shape), or objects of shape (n,), each an array.
        shape: Of the column, where cells differ in length.

    Examples:
        >>> {name: found.tolist() for name, found in summaries(np.array([[3.0, -4.0]])).items()}
        {'mean': [-0.5], 'norm': [5.0], 'smallest': [-4.0], 'largest': [3.0]}
    """
    if values.dtype != np.object_:
        flat = values.reshape(len(values), -1).astype(np.float64, copy=False)
        norm = np.sqrt(np.einsum("ij,ij->i", flat, flat))
        return {"mean": flat.mean(axis=1), "norm": norm, "smallest": flat.min(axis=1), "largest": flat.max(axis=1)}
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
        found["norm"][there] = np.sqrt(np.add.reduceat(flat * flat, starts))
        found["smallest"][there] = np.minimum.reduceat(flat, starts)
        found["largest"][there] = np.maximum.reduceat(flat, starts)
    return found


def summary_words(name: str, summary: str) -> str:
    """How a summary of a column is named: ``embedding (norm)``."""
    return f"{name} ({summary})"
