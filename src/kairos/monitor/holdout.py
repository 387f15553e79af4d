"""The rows on which a version was judged when it was new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["HoldoutRows"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HoldoutRows:
    """Rows that a version had not learnt from, with what it said and what was true."""

    table: pl.DataFrame
    """With the model's inputs by their own names."""
    prediction: NDArray[np.float64]
    """Of several outputs the lead's, as ``label``."""
    label: NDArray[np.float64]
    days: NDArray[np.int64]
    """Number of the day of each row; of rows without a time, any number."""
    answers: NDArray[np.float64] | None = None
    """Of several outputs all numbers, shape (n, numbers); ``None``: there is one."""
    losses: NDArray[np.float64] | None = None
    """Of these, shape (n,); the same."""
    usual_errors: Mapping[str, float] = field(default_factory=dict)
    """Mean absolute error of each of several targets, by name, in its unit."""
