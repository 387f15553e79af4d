"""How wrong one prediction is. Lower is better; a gate compares the means over the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch, UsageError
from kairos.gates.loss_names import LOSS_NAMES, check_loss_name, pinball_quantile

__all__ = ["LOSSES", "Loss", "absolute_error", "loss_named", "pinball", "pinball_quantile"]

Loss = Callable[[NDArray[np.generic], NDArray[np.generic]], NDArray[np.float64]]
"""Truth and prediction, each of shape (n,) -> loss per row, shape (n,), float64, 0 or more."""

_SURE = 1e-15


def absolute_error(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    """``|truth - prediction|``, in the target's unit."""
    y, p = _numbers(truth, prediction)
    return np.abs(y - p)


def squared_error(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    """``(truth - prediction)^2``, in the target's unit squared."""
    y, p = _numbers(truth, prediction)
    return (y - p) ** 2


def log_loss(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    """``-ln`` of the probability given to what happened, in nats; truth 0 or 1, prediction the probability of 1.

    Probabilities are kept 1e-15 away from 0 and 1, so one sure mistake costs 34.5 and not infinity.
    """
    y, p = _numbers(truth, prediction)
    if not np.isin(y, (0.0, 1.0)).all() or (p.size and (p.min() < 0 or p.max() > 1)):
        raise UsageError("log_loss cannot be computed.", accepted="truth 0 or 1, predictions between 0 and 1")
    p = np.clip(p, _SURE, 1 - _SURE)
    return np.where(y == 1.0, -np.log(p), -np.log1p(-p))


def zero_one(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    """1 where the prediction is not the truth, 0 where it is; predictions are classes, not probabilities."""
    _check_paired(truth, prediction)
    return np.asarray(np.asarray(truth) != np.asarray(prediction), dtype=np.float64)


LOSSES: Mapping[str, Loss] = MappingProxyType(
    dict(zip(LOSS_NAMES, (absolute_error, squared_error, log_loss, zero_one), strict=True))
)
"""The losses that a gate knows, by name."""


def pinball(truth: NDArray[np.generic], prediction: NDArray[np.generic], *, quantile: float) -> NDArray[np.float64]:
    """The loss whose mean is least where a share ``quantile`` of the truth lies below; in the target's unit.

    >>> pinball(np.array([10.0, 10.0]), np.array([8.0, 12.0]), quantile=0.9).round(3).tolist()
    [1.8, 0.2]
    """
    y, p = _numbers(truth, prediction)
    return np.where(y >= p, quantile * (y - p), (1 - quantile) * (p - y))


def loss_named(name: str) -> Loss:
    """The loss of that name, or ``pinball:QUANTILE``; an unknown one is an error that names the nearest."""
    quantile = pinball_quantile(check_loss_name(name))
    return LOSSES[name] if quantile is None else partial(pinball, quantile=quantile)


def _check_paired(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> None:
    if np.shape(truth) != np.shape(prediction):
        shapes = f"{np.shape(truth)} and {np.shape(prediction)}"
        raise ShapeMismatch("Truth and predictions are not paired.", given=shapes)


def _numbers(
    truth: NDArray[np.generic], prediction: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    _check_paired(truth, prediction)
    return np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
