"""Rows made to find where a compiled model differs: at thresholds, with nulls and levels never seen, at the ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kairos.models.arrays import ragged
from kairos.models.compiling.trees import Ensemble
from kairos.models.signature import LARGEST_NUMBER, Column, Signature

__all__ = ["MADE_ROWS", "far_rows", "near_rows"]

Array = np.ndarray[Any, Any]

MADE_ROWS = 1024
_FAR_ROWS = 64
_NULL_SHARE = 0.1
_UNSEEN = ("", "\N{LATIN SMALL LETTER O WITH STROKE} never seen")


def near_rows(signature: Signature, columns: Mapping[str, Array], ensemble: Ensemble | None) -> dict[str, Array]:
    """Rows whose values come each from some row of ``columns``, or lie at a threshold of the trees.

    Values beside a threshold are the next ones as double and as float32, where a conversion that rounds goes astray.

    Args:
        signature: Of the model; only what it accepts is made.
        columns: Rows of training.
        ensemble: Trees that ask about the columns themselves, in the signature's order; ``None`` if there are none.
    """
    random = np.random.default_rng(0)
    made = {}
    for index, column in enumerate(signature.columns):
        pool = _numbers(column, _thresholds(ensemble, index)) if _is_number(column) else _texts(column)
        seen = columns[column.name]
        drawn = seen[random.integers(0, len(seen), MADE_ROWS)]
        if column.is_free:
            drawn[: len(column.taken) * 2] = _at_the_ends(column, drawn[0])
        if len(pool):
            chosen = random.random(MADE_ROWS) < 0.5
            drawn = drawn.copy()
            drawn[chosen] = pool[random.integers(0, len(pool), int(chosen.sum()))]
        made[column.name] = _with_nulls(column, drawn, random)
    return made


def far_rows(signature: Signature, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Rows with numbers at the ends of what is accepted, and at 0."""
    random = np.random.default_rng(1)
    ends = np.array([-LARGEST_NUMBER, -1e9, -1.0, 0.0, 1.0, 1e9, LARGEST_NUMBER])
    made = {}
    for column in signature.columns:
        seen = columns[column.name]
        drawn = seen[random.integers(0, len(seen), _FAR_ROWS)]
        if _is_number(column):
            chosen = random.random(_FAR_ROWS) < 0.5
            drawn = drawn.copy()
            drawn[chosen] = random.choice(ends, int(chosen.sum())).astype(drawn.dtype)
        made[column.name] = drawn
    return made


def _is_number(column: Column) -> bool:
    return column.kind in ("number", "integer")


def _at_the_ends(column: Column, cell: Array) -> Array:
    """Arrays as short and as long along each axis as is accepted, with the numbers of a cell."""
    usual = [most for _, most in column.seen]
    shapes = [(*usual[:axis], end, *usual[axis + 1 :]) for axis, ends in enumerate(column.taken) for end in ends]
    return ragged(np.resize(cell, shape) for shape in shapes)


def _thresholds(ensemble: Ensemble | None, index: int) -> Array:
    if ensemble is None:
        return np.empty(0)
    found = [tree.threshold[~tree.is_leaf & (tree.feature == index)] for tree in ensemble.trees]
    asked: Array = np.unique(np.concatenate([np.asarray(each, dtype=np.float64) for each in found]))
    near: Array = asked[np.abs(asked) <= LARGEST_NUMBER / 2]
    return near


def _numbers(column: Column, asked: Array) -> Array:
    if column.kind == "integer":
        return np.unique(np.concatenate([np.floor(asked), np.ceil(asked)]))
    single = asked.astype(np.float32)
    beside = [np.nextafter(single, np.float32(end)).astype(np.float64) for end in (-np.inf, np.inf)]
    return np.concatenate([asked, np.nextafter(asked, -np.inf), np.nextafter(asked, np.inf), single, *beside])


def _texts(column: Column) -> Array:
    if column.kind == "boolean":
        return np.empty(0, dtype=object)
    is_open = column.kind == "text" or column.open_levels or column.rare_levels
    return np.array([*column.levels, *(_UNSEEN if is_open else ())], dtype=object)


def _with_nulls(column: Column, values: Array, random: np.random.Generator) -> Array:
    if not column.nullable and column.required:
        return values
    is_null = random.random(len(values)) < _NULL_SHARE
    if values.dtype.kind in "iu":  # of an integer column that may be left out
        values = values.astype(np.float64)
    elif values.dtype.kind == "b":
        values = values.astype(object)
    values = values.copy()
    values[is_null] = np.nan if values.dtype.kind == "f" else None
    return values
