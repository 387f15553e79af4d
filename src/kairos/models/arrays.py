"""Cells that are arrays, such as images or series.

Of one shape: inside, a column of them is one array of shape (n, *shape). Where an axis has another length in each row
(``FREE`` in the shape), a column is objects of shape (n,), each an array of its own; nothing is ever filled up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from kairos.values import Json

__all__ = [
    "FREE",
    "LARGEST_ARRAY",
    "array_text",
    "by_groups",
    "common_shape",
    "flat_matrix",
    "from_log",
    "gathered_cells",
    "groups",
    "is_free",
    "like",
    "nested",
    "number_array",
    "ragged",
    "read_nested",
    "shape_of",
    "shape_words",
    "stacked",
    "to_log",
    "whole_shape",
]

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Span = tuple[int, int]
"""The least and the greatest length of an axis."""

FREE = -1
"""Stands in a shape for an axis whose length differs from row to row."""

LARGEST_ARRAY = 1_000_000
"""Most numbers of one cell."""

_LARGEST_WHOLE = 2**63
"""What int64 does not hold."""


def is_free(shape: Shape) -> bool:
    """Whether cells of this shape differ in length."""
    return FREE in shape


def shape_of(value: Json) -> Shape | None:
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


def whole_shape(found: Shape, wanted: Shape) -> Shape:
    """Of an empty list, which says nothing of the axes inside, these as they are wanted.

    >>> whole_shape((0,), (FREE, 3))
    (0, 3)
    """
    if found and found[-1] == 0 and len(found) < len(wanted):
        return (*found, *(max(length, 0) for length in wanted[len(found) :]))
    return found


def _matches(found: Shape, wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(want in (FREE, have) for have, want in zip(found, wanted, strict=True))


def read_nested(value: Json, shape: Shape) -> Array | None:
    """An array of JSON's nested lists, float64; ``None``: it is not one of numbers of that shape."""
    found = shape_of(value)
    if found is None or not _matches(whole_shape(found, shape), shape):
        return None
    try:
        return np.array(value, dtype=np.float64).reshape(whole_shape(found, shape))
    except OverflowError:  # a whole number that no double holds
        return np.full(found, math.inf)


def array_text(value: Any) -> Json:
    """What a text of JSON says, such as a cell of CSV; what is no such text is left as it is.

    >>> array_text("[[1, 2.5]]"), array_text("1,2"), array_text([3])
    ([[1, 2.5]], '1,2', [3])
    """
    if not isinstance(value, str):
        return value
    try:
        found: Json = json.loads(value)
    except (ValueError, RecursionError):  # nesting, or a number, that is too long
        return value
    return found if isinstance(found, list) else value


def number_array(cell: Any) -> Array | None:
    """A list or an array as int64 or float64; ``None``: it holds something else than numbers, or is uneven."""
    try:
        found = np.asarray(cell)
    except ValueError:
        return None
    if found.dtype.kind not in "iuf" or found.ndim < 1:
        return None
    too_large = found.dtype.kind == "u" and found.size and int(found.max()) >= _LARGEST_WHOLE
    return found.astype(np.int64 if found.dtype.kind in "iu" and not too_large else np.float64, copy=False)


def stacked(cells: Sequence[Any]) -> Array | None:
    """Cells of lists or arrays as one array of shape (n, *shape), int64 or float64; ``None``: they have no one shape.

    Args:
        cells: At least one, none of them missing.
    """
    try:
        found = number_array([np.asarray(cell) for cell in cells])
    except ValueError:
        return None
    return None if found is None or found.ndim < 2 or 0 in found.shape else found


def gathered_cells(cells: Sequence[Any]) -> Array | None:
    """Cells that differ in length as objects of shape (n,), all int64 or all float64; ``None``: they are no arrays.

    Args:
        cells: At least one, none of them missing; an empty one is of whichever type the others are.
    """
    read = [number_array(cell) for cell in cells]
    known = [each for each in read if each is not None]
    if len(known) < len(read):
        return None
    rank = max(each.ndim for each in known)
    wanted = common_shape([each for each in known if each.ndim == rank])
    whole = all(each.dtype.kind == "i" for each in known if each.size)
    found: list[Array] = []
    for each in known:
        shape = whole_shape(each.shape, wanted)
        if not _matches(shape, wanted):
            return None
        found.append(each.reshape(shape).astype(np.int64 if whole else np.float64, copy=False))
    return ragged(found) if any(each.size for each in found) else None


def common_shape(cells: Iterable[Array]) -> Shape:
    """The shape of cells of one rank, with ``FREE`` for an axis on which they differ; empty ones do not say."""
    shapes = [each.shape for each in cells]
    told = [shape for shape in shapes if shape[0]] or shapes
    inner = tuple(lengths.pop() if len(lengths) == 1 else FREE for lengths in map(set, zip(*told, strict=True)))
    return (inner[0] if len({shape[0] for shape in shapes}) == 1 else FREE, *inner[1:])


def ragged(cells: Iterable[Array]) -> Array:
    """Arrays as objects of shape (n,), also where all are of one shape."""
    held = list(cells)
    found = np.empty(len(held), dtype=object)
    for at, cell in enumerate(held):
        found[at] = cell
    return found


def like(values: Array, shape: Shape) -> Array:
    """A column as a signature with this shape has it: cells that may differ in length are objects."""
    return ragged(values) if is_free(shape) and values.dtype != np.object_ else values


def groups(values: Array) -> list[tuple[Array, Array]]:
    """Cells of one shape together: their places among the rows, and one array of shape (rows, *shape) of them.

    >>> [(at.tolist(), cells.tolist()) for at, cells in groups(ragged(map(np.array, ([1, 2], [3], [4, 5]))))]
    [([0, 2], [[1, 2], [4, 5]]), ([1], [[3]])]
    """
    places: dict[Shape, list[int]] = {}
    for at, cell in enumerate(values):
        places.setdefault(cell.shape, []).append(at)
    return [(np.array(at), np.stack([values[each] for each in at])) for at in places.values()]


def by_groups(predict: Callable[[Array], Array], values: Array) -> Array:
    """The answers to cells that differ in length, shape (n,) or (n, numbers): cells of one shape are asked together.

    Args:
        predict: The answers to cells of one shape, (rows, *shape).
        values: At least one cell.
    """
    parts = [(at, predict(cells)) for at, cells in groups(values)]
    found = np.empty((len(values), *parts[0][1].shape[1:]))
    for at, answers in parts:
        found[at] = answers
    return found


def flat_matrix(columns: Sequence[Array]) -> Array:
    """Columns side by side as one matrix, float64, shape (n, numbers); an array's numbers stand row by row."""
    parts = [np.asarray(values).reshape(len(values), -1) for values in columns]
    matrix = np.empty((len(columns[0]), sum(part.shape[1] for part in parts)))
    at = 0
    for part in parts:
        matrix[:, at : at + part.shape[1]] = part  # None becomes NaN
        at += part.shape[1]
    return matrix


def nested(value: float, shape: Shape) -> Json:
    """Nested lists of one number."""
    found: Json = np.full(shape, value).tolist()
    return found


def to_log(cell: Array, shape: Shape) -> list[float]:
    """A cell as the prediction log has it: its numbers in a row; before them, of several free axes, their lengths."""
    lengths = [length for length, want in zip(cell.shape, shape, strict=True) if want == FREE]
    return [*(map(float, lengths) if len(lengths) > 1 else ()), *cell.ravel().tolist()]


def from_log(numbers: Sequence[Any], shape: Shape) -> Json:
    """Nested lists of what ``to_log`` wrote; of what is nested already itself.

    >>> from_log(to_log(np.arange(6).reshape(3, 2), (FREE, 2)), (FREE, 2))
    [[0, 1], [2, 3], [4, 5]]
    """
    if numbers and isinstance(numbers[0], list):
        return list(numbers)
    free = shape.count(FREE)
    if free > 1:
        lengths = iter(numbers[:free])
        shape, numbers = tuple(int(next(lengths)) if each == FREE else each for each in shape), numbers[free:]
    found: Json = np.reshape(np.asarray(numbers), shape).tolist()
    return found


def shape_words(shape: Shape, taken: Sequence[Span] = ()) -> str:
    """A shape as a person reads it.

    >>> shape_words((FREE, 3), ((1, 1000), (3, 3)))
    '[1 to 1000, 3]'
    """
    told = [
        str(length) if length != FREE else f"{taken[axis][0]} to {taken[axis][1]}" if taken else "any"
        for axis, length in enumerate(shape)
    ]
    return f"[{', '.join(told)}]"
