"""Which rows of live traffic a loss can be computed of: one label that cannot be meant must not stop the watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch, UsageError

__all__ = ["LossOf", "judgeable", "proper"]

LossOf = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]]
"""Truth and prediction, each of shape (n,) -> loss per row, shape (n,), 0 or more."""


def judgeable(loss_of: LossOf, truth: NDArray[Any], prediction: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether the loss of each row can be computed, shape (n,): ``log_loss`` takes 0 or 1, and a chance, alone.

    Rows are halved until the ones that the loss refuses are found, so a few among many cost little.

    Args:
        loss_of: Raises ``UsageError`` where one row is not for it, ``ShapeMismatch`` if it takes more numbers a row.
        truth: Shape (n,).
        prediction: Shape (n,).
    """
    try:
        loss_of(truth, prediction)
    except (UsageError, ShapeMismatch):
        if len(truth) <= 1:
            return np.zeros(len(truth), dtype=np.bool_)
        half = len(truth) // 2
        parts = (slice(half), slice(half, None))
        return np.concatenate([judgeable(loss_of, truth[part], prediction[part]) for part in parts])
    return np.ones(len(truth), dtype=np.bool_)


def proper(loss_of: LossOf, truth: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each truth is one that the loss takes, shape (n,): what can be true can be predicted without a loss.

    >>> from kairos.gates.losses import loss_named
    >>> proper(loss_named("log_loss"), np.array([0.0, 7.0, 1.0])).tolist()
    [True, False, True]
    """
    return judgeable(loss_of, truth, truth)
