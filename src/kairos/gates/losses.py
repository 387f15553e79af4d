"""How wrong one prediction is. Lower is better; a gate compares the means over the same rows.

A row's loss is one number, whatever the model answers: of several targets, or several quantiles of one, it is the mean
over them; of chances of several classes, given the place of the true one, it is a loss of all these chances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch, UsageError
from kairos.gates.loss_names import (
    LOSS_NAMES,
    check_loss_name,
    is_of_order,
    ndcg_places,
    pinball_quantile,
    pinball_quantiles,
)
from kairos.gates.ranking import ndcg, pairwise_error

__all__ = ["LOSSES", "Loss", "absolute_error", "loss_named", "pinball", "pinball_quantile", "pinballs"]

Loss = Callable[[NDArray[np.generic], NDArray[np.generic]], NDArray[np.float64]]
"""Truth and prediction -> loss per row, shape (n,), float64, 0 or more.

Both are of shape (n,); or of shape (n, targets); or the truth is the place of a class, -1 for one that the model does
not know, and the prediction is of shape (n, classes); or it is of shape (n, quantiles). Of an order a row is a list, as
``ranking`` says.
"""

_SURE = 1e-15


def absolute_error(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    """``|truth - prediction|``, in the target's unit."""
    y, p = _numbers(truth, prediction)
    return _over_targets(np.abs(y - p))


def squared_error(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    """``(truth - prediction)^2``, in the target's unit squared."""
    y, p = _numbers(truth, prediction)
    return _over_targets((y - p) ** 2)


def log_loss(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    """``-ln`` of the probability given to what happened, in nats; truth 0 or 1, prediction the probability of 1.

    Probabilities are kept 1e-15 away from 0 and 1, so one sure mistake costs 34.5 and not infinity. So does a class
    that the model does not know.
    """
    if np.ndim(prediction) == 2:
        return -np.log(np.clip(_chance_of_truth(truth, prediction), _SURE, 1 - _SURE))
    y, p = _numbers(truth, prediction)
    if not np.isin(y, (0.0, 1.0)).all() or (p.size and (p.min() < 0 or p.max() > 1)):
        raise UsageError("log_loss cannot be computed.", accepted="truth 0 or 1, predictions between 0 and 1")
    p = np.clip(p, _SURE, 1 - _SURE)
    return np.where(y == 1.0, -np.log(p), -np.log1p(-p))


def brier(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    """The squared distance of the probabilities from what happened, from 0 to 1 for two classes, to 2 for more.

    Of two classes it is ``(truth - probability of 1)^2``; of more the sum over all of them, as Brier (1950) has it.
    """
    if np.ndim(prediction) == 2:
        p = _chances(truth, prediction)
        place = np.asarray(truth, dtype=np.int64)
        y = place[:, None] == np.arange(p.shape[1])
        unknown = (place < 0).astype(np.float64)  # one more class, of chance 0, was true
        return np.asarray(((y - p) ** 2).sum(axis=1) + unknown) / (2.0 if p.shape[1] == 2 else 1.0)
    y, p = _numbers(truth, prediction)
    if not np.isin(y, (0.0, 1.0)).all():
        raise UsageError("brier cannot be computed.", accepted="truth 0 or 1, predictions between 0 and 1")
    return np.asarray((y - p) ** 2, dtype=np.float64)


def zero_one(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    """1 where the prediction is not the truth, 0 where it is; of probabilities of classes the largest is meant."""
    if np.ndim(prediction) == 2 and np.ndim(truth) == 1:
        prediction = _chances(truth, prediction).argmax(axis=1)
    _check_paired(truth, prediction)
    return np.asarray(np.asarray(truth) != np.asarray(prediction), dtype=np.float64)


LOSSES: Mapping[str, Loss] = MappingProxyType(
    dict(zip(LOSS_NAMES, (absolute_error, squared_error, log_loss, zero_one, brier), strict=True))
)
"""The losses that a gate knows, by name."""


def pinball(truth: NDArray[np.generic], prediction: NDArray[np.generic], *, quantile: float) -> NDArray[np.float64]:
    """The loss whose mean is least where a share ``quantile`` of the truth lies below; in the target's unit.

    >>> pinball(np.array([10.0, 10.0]), np.array([8.0, 12.0]), quantile=0.9).round(3).tolist()
    [1.8, 0.2]
    """
    y, p = _numbers(truth, prediction)
    return _over_targets(np.where(y >= p, quantile * (y - p), (1 - quantile) * (p - y)))


def pinballs(
    truth: NDArray[np.generic], prediction: NDArray[np.generic], *, quantiles: tuple[float, ...]
) -> NDArray[np.float64]:
    """The mean of the pinball losses of several quantiles of one target; predictions of shape (n, quantiles).

    >>> pinballs(np.array([10.0]), np.array([[8.0, 12.0]]), quantiles=(0.1, 0.9)).round(3).tolist()
    [0.2]
    """
    if np.size(truth) == np.size(prediction) == 0:
        return np.empty(0)  # of no rows nobody knows how many numbers each has
    if np.shape(prediction) != (*np.shape(truth), len(quantiles)):
        shapes = f"{np.shape(truth)} and {np.shape(prediction)}"
        raise ShapeMismatch("Truth and predictions are not paired.", given=shapes, accepted="one for each quantile")
    each = [pinball(truth, prediction[:, at], quantile=quantile) for at, quantile in enumerate(quantiles)]
    return np.asarray(np.mean(each, axis=0))


def loss_named(name: str) -> Loss:
    """The loss of that name, ``pinball:QUANTILE``, or of an order; an unknown one is an error with the nearest."""
    quantiles = pinball_quantiles(check_loss_name(name))
    if len(quantiles) > 1:
        return partial(pinballs, quantiles=quantiles)
    if quantiles:
        return partial(pinball, quantile=quantiles[0])
    places = ndcg_places(name)
    if places is not None:
        return partial(ndcg, first=places)
    return pairwise_error if is_of_order(name) else LOSSES[name]


def _chance_of_truth(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    """What was given to the true class, 0 for a class that is not known, shape (n,)."""
    p = _chances(truth, prediction)
    place = np.asarray(truth, dtype=np.int64)
    return np.where(place >= 0, p[np.arange(len(p)), np.maximum(place, 0)], 0.0)


def _chances(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> NDArray[np.float64]:
    if np.ndim(truth) != 1 or len(truth) != len(prediction):
        shapes = f"{np.shape(truth)} and {np.shape(prediction)}"
        raise ShapeMismatch("Truth and predictions are not paired.", given=shapes)
    p = np.asarray(prediction, dtype=np.float64)
    y = np.asarray(truth, dtype=np.float64)
    if y.size and (not (np.mod(y, 1) == 0).all() or y.max() >= p.shape[1]):
        raise UsageError("Chances of classes cannot be judged.", accepted="the place of the true class in each row")
    return p


def _over_targets(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the targets, if there are several."""
    return losses if losses.ndim == 1 else np.asarray(losses.mean(axis=1))


def _check_paired(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> None:
    if np.shape(truth) != np.shape(prediction):
        shapes = f"{np.shape(truth)} and {np.shape(prediction)}"
        raise ShapeMismatch("Truth and predictions are not paired.", given=shapes)


def _numbers(
    truth: NDArray[np.generic], prediction: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    _check_paired(truth, prediction)
    return np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
