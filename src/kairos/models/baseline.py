"""The simplest model there is: one answer for every row. A model that does not beat it has learned nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from kairos.errors import PackageError
from kairos.gates.loss_names import is_of_order
from kairos.models.outputs import Output

__all__ = ["simple_answer", "simple_baseline"]


def simple_baseline(target: np.ndarray[Any, Any], loss: str) -> float:
    """The one answer that is best on the training rows.

    The median for the absolute error, the quantile for a pinball loss, the mean for the squared error, the share of
    ones for the log loss, the most frequent value (the smallest of several) for right or wrong, one score for an order.

    Args:
        target: Of the training rows, shape (n,), finite.
        loss: Name of the loss the model is judged by.

    Raises:
        PackageError: no baseline is known for this loss.

    Examples:
        >>> simple_baseline(np.array([1.0, 2.0, 9.0]), "absolute_error")
        2.0
    """
    if is_of_order(loss):
        return 0.0  # one score for all: any order is as good
    head, _, quantile = loss.partition(":")
    if head == "pinball":
        return float(np.quantile(target, float(quantile)))
    if loss not in _ANSWERS:
        raise PackageError("No simple baseline is known for this loss.", given=loss, accepted=", ".join(_ANSWERS))
    return float(_ANSWERS[loss](target))


def simple_answer(target: np.ndarray[Any, Any], loss: str, outputs: Sequence[Output]) -> tuple[float, ...]:
    """The same of a model of several outputs: one number for each of its numbers.

    Of chances the classes' shares, or, judged right or wrong, the most frequent class for sure; of several targets
    the baseline of each; of quantiles the target's own.

    Args:
        target: Of the training rows, as ``Goal`` has it.
        loss: Name of the loss the model is judged by.
        outputs: Of the model.

    Examples:
        >>> kind = Output(name="kind", kind="class", classes=("cat", "dog"))
        >>> simple_answer(np.array([0.0, 1.0, 1.0, 1.0]), "log_loss", [kind])
        (0.25, 0.75)
    """
    first = outputs[0]
    if first.kind == "class":
        shares = np.bincount(target.astype(np.int64), minlength=len(first.classes)) / len(target)
        if loss == "zero_one":
            shares = np.arange(len(shares)) == shares.argmax()
        return tuple(shares.astype(np.float64).tolist())
    if first.kind == "quantiles":
        return tuple(np.quantile(target, first.quantiles).tolist())
    return tuple(simple_baseline(column, loss) for column in target.T)


def _most_frequent(target: np.ndarray[Any, Any]) -> float:
    values, counts = np.unique(target, return_counts=True)
    return float(values[counts.argmax()])


_ANSWERS: Mapping[str, Callable[[np.ndarray[Any, Any]], Any]] = MappingProxyType(
    {
        "absolute_error": np.median,
        "squared_error": np.mean,
        "log_loss": np.mean,
        "brier": np.mean,
        "zero_one": _most_frequent,
    }
)
