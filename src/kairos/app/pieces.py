"""Some rows of a batch, and what a version gave for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from kairos.serving.guard import OutputGuard

__all__ = ["Piece", "guarded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some rows, and what the version gave for them; arrays have one item a row."""

    frame: pl.DataFrame
    first_row: int
    """Position of the first one in the whole table."""
    raws: np.ndarray[Any, Any]
    """The model's own outputs, float64; NaN where there is none."""
    outputs: np.ndarray[Any, Any]
    """What may leave; NaN where nothing may."""
    violations: Sequence[str | None]
    actions: Sequence[str | None]
    refusals: Sequence[str | None]
    """Why the model was not asked: the column that does not fit."""


def guarded(
    guard: OutputGuard, raws: np.ndarray[Any, Any], asked: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], list[str | None], list[str | None]]:
    """What may leave of each output, why not all may, and what is done about it; rows that were not asked have none."""
    outputs = raws.copy()
    violations: list[str | None] = [None] * len(raws)
    actions: list[str | None] = [None] * len(raws)
    given = raws[asked]
    odd = ~np.isfinite(given)
    odd |= False if guard.lower is None else given < guard.lower
    odd |= False if guard.upper is None else given > guard.upper
    for row in asked[odd].tolist():
        judged = guard.judge(float(raws[row]))
        outputs[row] = np.nan if judged.output is None else judged.output
        violations[row], actions[row] = judged.violation, judged.action
    return outputs, violations, actions
