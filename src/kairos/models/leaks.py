"""Features that give a model's target away are refused before anything learns from them, numbers of arrays as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kairos.errors import DataRefused
from kairos.models.arrays import is_free
from kairos.models.frames import FrameColumn
from kairos.models.goals import Goal
from kairos.models.spread import number_name
from kairos.stats.leakage import Leak, find_leakage

__all__ = ["refuse_leaks"]

_FEW_ROWS = 2_000
"""By which most numbers of an array are told from the target."""
_FEW_NUMBERS = 4_096
"""Looked at together."""
_SUSPECT = 0.99
"""Correlation on these rows; what has less is no leak on all of them."""


def refuse_leaks(columns: Mapping[str, FrameColumn], goal: Goal, targets: Sequence[str], step: str) -> None:
    """Looks for copies of each target, columns that rise and fall with it alone, and columns that add up to it.

    Raises:
        DataRefused: there are any; ``facts`` hold ``columns``.
    """
    numbers = {n: c.values for n, c in columns.items() if c.values.dtype.kind in "ifb" and c.values.ndim == 1}
    for target, values in zip(targets, goal.values.reshape(len(goal.values), -1).T, strict=True):
        leaks = {leak: leak.columns for leak in find_leakage(numbers, values)}
        for name, column in columns.items():
            if column.kind == "array" and not is_free(column.shape):
                leaks |= dict.fromkeys(_array_leaks(column, values), (name,))
        if leaks:
            leaking = sorted({name for names in leaks.values() for name in names})
            raise DataRefused(
                f"Features of the model {step!r} give its target {target!r} away.",
                given="; ".join(leak.how if "=" in leak.how else f"{leak.columns[0]} {leak.how}" for leak in leaks),
                hint=f"No request will know them. Leave them out: @model(..., drop={leaking!r}).",
                columns=leaking,
            )


def _array_leaks(column: FrameColumn, target: np.ndarray[Any, Any]) -> list[Leak]:
    """Numbers of an array that alone give the target away; few rows tell which may."""
    flat = column.values.reshape(len(column.values), -1)
    every = max(1, len(flat) // _FEW_ROWS)
    goal = target[::every] - target[::every].mean()
    found: list[Leak] = []
    for first in range(0, flat.shape[1], _FEW_NUMBERS):
        few = flat[::every, first : first + _FEW_NUMBERS].astype(np.float64)
        few -= few.mean(axis=0)
        scale = np.linalg.norm(few, axis=0) * np.linalg.norm(goal)
        alike = np.abs(goal @ few) > _SUSPECT * scale
        for at in (first + np.flatnonzero(alike & (scale > 0))).tolist():
            place = np.unravel_index(at, column.shape)
            found += find_leakage({number_name(column.name, map(int, place)): flat[:, at]}, target)
    return found
