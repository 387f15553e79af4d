"""The simplest model there is: one number for every row. A model that does not beat it has learned nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from kairos.errors import PackageError

__all__ = ["simple_baseline"]


def simple_baseline(target: np.ndarray[Any, Any], loss: str) -> float:
    """The one answer that is best on the training rows.

    The median for the absolute error, the quantile for a pinball loss, the mean for the squared error, the share of
    ones for the log loss, the most frequent value (the smallest of several) for right or wrong.

    Args:
        target: Of the training rows, shape (n,), finite.
        loss: Name of the loss the model is judged by.

    Raises:
        PackageError: no baseline is known for this loss.

    Examples:
        >>> simple_baseline(np.array([1.0, 2.0, 9.0]), "absolute_error")
        2.0
    """
    head, _, quantile = loss.partition(":")
    if head == "pinball":
        return float(np.quantile(target, float(quantile)))
    if loss not in _ANSWERS:
        raise PackageError("No simple baseline is known for this loss.", given=loss, accepted=", ".join(_ANSWERS))
    return float(_ANSWERS[loss](target))


def _most_frequent(target: np.ndarray[Any, Any]) -> float:
    values, counts = np.unique(target, return_counts=True)
    return float(values[counts.argmax()])


_ANSWERS: Mapping[str, Callable[[np.ndarray[Any, Any]], Any]] = MappingProxyType(
    {"absolute_error": np.median, "squared_error": np.mean, "log_loss": np.mean, "zero_one": _most_frequent}
)
