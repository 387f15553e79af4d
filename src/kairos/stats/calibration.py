"""From scores to probabilities: isotonic regression on labelled rows, used only where it helps.

A score of 0.9 is calibrated if nine in ten of the rows with that score are positive. What estimates quality before the
labels arrive lives from that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, finite, pair

__all__ = ["Calibrator", "calibrate_classes", "calibration_error", "fit_calibrator", "fit_isotonic"]

_FOLDS = 10
_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibrator:
    """A rising function from score to probability; between its points it is a line, beyond them it stays level."""

    scores: Floats
    """Shape (k,), rising; empty: the score is taken for the probability."""
    probabilities: Floats
    """At each of these scores, shape (k,), never falling."""

    def __call__(self, scores: ArrayLike) -> Floats:
        """The probability that belongs to each score, in [0, 1]."""
        values = np.asarray(scores, dtype=np.float64)
        if self.scores.size == 0:
            return np.clip(values, 0.0, 1.0)
        return np.asarray(np.interp(values, self.scores, self.probabilities), dtype=np.float64)


def fit_isotonic(scores: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None) -> Calibrator:
    """The rising step function that is nearest to the labels in least squares.

    Args:
        scores: Shape (n,), finite, at least one.
        labels: 0 or 1, shape (n,).
        weights: How much each row counts, shape (n,), 0 or more; ``None``: all the same.

    Raises:
        UsageError: there is no row that counts, or a label is not 0 or 1.

    Examples:
        >>> fit_isotonic([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1])([0.1, 0.25, 0.4]).tolist()
        [0.0, 0.5, 1.0]

    References:
        Zadrozny & Elkan (2002); the pool-adjacent-violators algorithm of Ayer et al. (1955).
    """
    x, y = _scored("scores", scores, labels)
    w = np.ones_like(x) if weights is None else pair("scores", x, "weights", weights)[1]
    x, y, w = x[w > 0], y[w > 0], w[w > 0]
    if x.size == 0:
        raise UsageError("No row is left to calibrate on.", accepted="rows with a weight above 0")
    values, index = np.unique(x, return_inverse=True)
    total = np.bincount(index, weights=w)
    mean = np.bincount(index, weights=w * y) / total
    fitted = isotonic_regression(mean, weights=total).x
    return Calibrator(scores=values, probabilities=np.clip(fitted, 0.0, 1.0))


def fit_calibrator(scores: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None) -> Calibrator:
    """Isotonic regression if it makes held-out probabilities better calibrated, else the score itself.

    Ten parts of the rows are held out in turn, each with its share of positives, and the calibration error of all of
    them together is compared. Scores outside of [0, 1] are no probabilities, and are always calibrated.

    Args:
        scores: Shape (n,), finite.
        labels: 0 or 1, shape (n,).
        weights: As for ``fit_isotonic``; the comparison counts all rows the same.
    """
    x, y = _scored("scores", scores, labels)
    w = None if weights is None else pair("scores", x, "weights", weights)[1]
    if x.size and (x.min() < 0.0 or x.max() > 1.0):
        return fit_isotonic(x, y, weights=w)
    own = Calibrator(scores=np.empty(0), probabilities=np.empty(0))
    positives = float(y.sum())
    if min(positives, y.size - positives) < _FOLDS:
        return own
    fold = np.empty(y.size, dtype=np.int64)
    for label in (0.0, 1.0):
        fold[y == label] = np.arange(int((y == label).sum())) % _FOLDS
    held_out = np.empty_like(x)
    for part in range(_FOLDS):
        learnt = fold != part
        fitted = fit_isotonic(x[learnt], y[learnt], weights=None if w is None else w[learnt])
        held_out[~learnt] = fitted(x[~learnt])
    if calibration_error(held_out, y) < calibration_error(x, y):
        return fit_isotonic(x, y, weights=w)
    return own


def calibrate_classes(
    scores: ArrayLike, labels: ArrayLike, new_scores: ArrayLike, *, weights: ArrayLike | None = None
) -> Floats:
    """Probabilities of several classes, each calibrated against all others, then made to add up to 1.

    Args:
        scores: Of the labelled rows, shape (n, K).
        labels: Number of the true class, 0 to K - 1, shape (n,).
        new_scores: Of the rows to calibrate, shape (m, K).
        weights: Of the labelled rows, as for ``fit_isotonic``.

    Returns:
        Shape (m, K); a row whose scores all calibrate to 0 keeps its own scores.
    """
    old, new = np.asarray(scores, dtype=np.float64), np.asarray(new_scores, dtype=np.float64)
    truth = np.asarray(labels)
    if old.ndim != 2 or new.ndim != 2 or old.shape[1] != new.shape[1] or truth.shape != (old.shape[0],):
        raise ShapeMismatch(
            "Scores and labels of several classes do not fit.",
            given=f"shapes {old.shape}, {truth.shape} and {new.shape}",
            accepted="(n, K), (n,) and (m, K)",
        )
    columns = [
        fit_calibrator(old[:, k], (truth == k).astype(np.float64), weights=weights)(new[:, k])
        for k in range(old.shape[1])
    ]
    found = np.column_stack(columns)
    total = found.sum(axis=1, keepdims=True)
    own = new / np.maximum(new.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return np.where(total > 0, found / np.where(total > 0, total, 1.0), own)


def calibration_error(probabilities: ArrayLike, labels: ArrayLike, *, bins: int = _BINS) -> float:
    """The expected calibration error: mean gap between probability and share of positives over bins of equal size.

    For comparing calibrations on the same rows; of few rows it is too large, so it is no measure of quality.

    >>> calibration_error([0.2, 0.2, 0.8, 0.8], [0, 0, 1, 1], bins=2)
    0.2
    """
    p, y = _scored("probabilities", probabilities, labels)
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, max(p.size, 1))) if part.size]
    return float(round(sum(abs(p[part].sum() - y[part].sum()) for part in parts) / max(p.size, 1), 12))


def _scored(name: str, scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    x, y = pair(name, finite(name, scores), "labels", labels)
    if not np.isin(y, (0.0, 1.0)).all():
        raise UsageError("A label is not 0 or 1.", given=float(y[~np.isin(y, (0.0, 1.0))][0]), accepted="0 or 1")
    return x, y
