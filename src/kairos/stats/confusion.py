"""Metrics of a table of true and predicted classes, and how far one more row in a cell moves them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from kairos.errors import UsageError, did_you_mean
from kairos.stats.arrays import Floats

__all__ = ["CONFUSION_METRICS", "confusion_moves", "confusion_value"]


def confusion_value(name: str, table: Floats) -> Floats:
    """A metric of one or many tables. Higher is better.

    Of two classes, precision, recall and F1 are those of the second one; of more, the mean over the classes. What would
    be 0 / 0 is 0.

    Args:
        name: One of ``CONFUSION_METRICS``.
        table: Rows by true class and predicted class, shape (..., k, k).

    Returns:
        Shape (...,), in [0, 1], or [-1, 1] for ``mcc``.

    Examples:
        >>> float(confusion_value("f1", np.array([[90.0, 5.0], [2.0, 3.0]])).round(4))
        0.4615

    References:
        Gorodkin (2004) for Matthews' coefficient of more than two classes.
    """
    if name not in CONFUSION_METRICS:
        raise UsageError(
            "There is no such metric of classes.",
            given=name,
            accepted=", ".join(CONFUSION_METRICS),
            hint=did_you_mean(name, CONFUSION_METRICS),
        )
    return CONFUSION_METRICS[name](np.asarray(table, dtype=np.float64))


def confusion_moves(name: str, table: Floats) -> Floats:
    """How far one more row in each cell moves the metric, times the number of rows: its influence, shape (k, k).

    By central differences; the mean over the rows of the table is 0.
    """
    classes, total = table.shape[-1], float(table.sum())
    step = 1e-5 * max(total, 1.0)
    nudges = np.eye(classes * classes).reshape(-1, classes, classes) * step
    moved = confusion_value(name, table + nudges) - confusion_value(name, table - nudges)
    return (moved * total / (2 * step)).reshape(classes, classes)


def _accuracy(table: Floats) -> Floats:
    return _share(np.trace(table, axis1=-2, axis2=-1), table.sum(axis=(-2, -1)))


def _recalls(table: Floats) -> Floats:
    return _share(_hits(table), table.sum(axis=-1))


def _precisions(table: Floats) -> Floats:
    return _share(_hits(table), table.sum(axis=-2))


def _f1s(table: Floats) -> Floats:
    return _share(2 * _hits(table), table.sum(axis=-1) + table.sum(axis=-2))


def _balanced_accuracy(table: Floats) -> Floats:
    is_there = table.sum(axis=-1) > 0
    return _share((_recalls(table) * is_there).sum(axis=-1), is_there.sum(axis=-1))


def _mcc(table: Floats) -> Floats:
    true, said, total = table.sum(axis=-1), table.sum(axis=-2), table.sum(axis=(-2, -1))
    covariance = np.trace(table, axis1=-2, axis2=-1) * total - (true * said).sum(axis=-1)
    spread = (total**2 - (said**2).sum(axis=-1)) * (total**2 - (true**2).sum(axis=-1))
    return _share(covariance, np.sqrt(np.maximum(spread, 0.0)))


def _of_second_or_mean(each: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    def value(table: Floats) -> Floats:
        found = each(table)
        return found[..., 1] if table.shape[-1] == 2 else found.mean(axis=-1)

    return value


def _hits(table: Floats) -> Floats:
    return np.diagonal(table, axis1=-2, axis2=-1)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=np.asarray(whole) > 0)


CONFUSION_METRICS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "accuracy": _accuracy,
        "balanced_accuracy": _balanced_accuracy,
        "f1": _of_second_or_mean(_f1s),
        "precision": _of_second_or_mean(_precisions),
        "recall": _of_second_or_mean(_recalls),
        "mcc": _mcc,
    }
)
"""By name: tables, shape (..., k, k), to values."""
