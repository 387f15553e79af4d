"""Cells that are arrays of one shape, such as images. Inside, a column of them is one array of shape (n, *shape)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kairos.values import Json

__all__ = ["LARGEST_ARRAY", "flat_matrix", "means", "nested", "read_nested", "shape_of", "stacked"]

Array = np.ndarray[Any, Any]

LARGEST_ARRAY = 1_000_000
"""Most numbers of one cell."""


def shape_of(value: Json) -> tuple[int, ...] | None:
    """The shape of nested lists of numbers; ``None``: they are none, or uneven, or hold something else.

    >>> shape_of([[1, 2.5], [3, 4]]), shape_of([[1], [2, 3]]), shape_of([True])
    ((2, 2), None, None)
    """
    if not isinstance(value, list):
        return () if type(value) in (int, float) else None
    inner = {shape_of(item) for item in value}
    if len(inner) != 1 or None in inner:
        return (0,) if not value else None
    (one,) = inner
    assert one is not None
    return (len(value), *one)


def read_nested(value: Json, shape: tuple[int, ...]) -> Array | None:
    """An array of JSON's nested lists, float64; ``None``: it is not one of numbers of that shape."""
    if shape_of(value) != shape:
        return None
    try:
        return np.array(value, dtype=np.float64)
    except OverflowError:  # a whole number that no double holds
        return np.full(shape, math.inf)


def stacked(cells: Sequence[Any]) -> Array | None:
    """Cells of lists or arrays as one array of shape (n, *shape), int64 or float64; ``None``: they have no one shape.

    Args:
        cells: At least one, none of them missing.
    """
    try:
        found = np.array([np.asarray(cell) for cell in cells])
    except ValueError:
        return None
    if found.dtype.kind == "O" or found.dtype.kind not in "iuf" or found.ndim < 2 or 0 in found.shape:
        return None
    return found.astype(np.int64 if found.dtype.kind in "iu" else np.float64)


def flat_matrix(columns: Sequence[Array]) -> Array:
    """Columns side by side as one matrix, float64, shape (n, numbers); an array's numbers stand row by row."""
    parts = [np.asarray(values).reshape(len(values), -1) for values in columns]
    matrix = np.empty((len(columns[0]), sum(part.shape[1] for part in parts)))
    at = 0
    for part in parts:
        matrix[:, at : at + part.shape[1]] = part  # None becomes NaN
        at += part.shape[1]
    return matrix


def means(values: Array) -> Array:
    """What stands for an array where only one number can be watched: its mean, shape (n,)."""
    found: Array = np.asarray(values, dtype=np.float64).reshape(len(values), -1).mean(axis=1)
    return found


def nested(value: float, shape: tuple[int, ...]) -> Json:
    """Nested lists of one number."""
    found: Json = np.full(shape, value).tolist()
    return found
