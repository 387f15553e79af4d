"""How long arrays may be that differ in length: as short and as long as the model was seen to answer, within limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kairos.models.arrays import LARGEST_ARRAY, ragged
from kairos.models.column import Column
from kairos.models.ports import Runner

__all__ = ["FEWEST_AT_MOST", "TIMES_LONGER", "with_lengths"]

Array = np.ndarray[Any, Any]

FEWEST_AT_MOST = 1_000
"""However short the arrays of training were, so long ones are tried."""
TIMES_LONGER = 2
"""Than the longest of training."""


def with_lengths(column: Column, runner: Runner, row: Mapping[str, Array], seen: Array) -> Column:
    """The column with what is accepted of each axis that is free.

    An axis may be as short as 1, or as 0 if training held that, and as long as 1,000 or twice the longest of training,
    if the model gives a finite answer to such a row; else as short, or long, as in training. Each end is tried with the
    other axes as training had them. An array has at most ``LARGEST_ARRAY`` numbers.

    Args:
        column: Of such arrays.
        runner: Answers.
        row: One row of training, each column of shape (1,).
        seen: The cells of training.
    """
    cell = next(each for each in seen if each.size)
    taken = list(column.seen)
    for axis in range(len(column.shape)):
        if column.shape[axis] >= 0:
            continue
        shortest, longest = column.seen[axis]
        others = math.prod(most for at, (_, most) in enumerate(column.seen) if at != axis)
        most = min(max(FEWEST_AT_MOST, TIMES_LONGER * longest), LARGEST_ARRAY // max(others, 1))
        least = min(shortest, 1)
        ends = [
            wanted if wanted == known or _answers(runner, row, column, _shape(column, axis, wanted), cell) else known
            for wanted, known in ((least, shortest), (max(most, longest), longest))
        ]
        taken[axis] = ends[0], ends[1]
    return replace(column, taken=tuple(taken))


def _shape(column: Column, axis: int, length: int) -> tuple[int, ...]:
    return tuple(length if at == axis else most for at, (_, most) in enumerate(column.seen))


def _answers(runner: Runner, row: Mapping[str, Array], column: Column, shape: tuple[int, ...], cell: Array) -> bool:
    """Whether the model answers a row with such an array, whose numbers are those of a cell again and again."""
    try:
        answer = runner.predict({**row, column.name: ragged([np.resize(cell, shape)])})
    except Exception:  # however the model says no, it is a no
        return False
    return bool(np.isfinite(answer).all())
