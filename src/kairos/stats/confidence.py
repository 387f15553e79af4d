"""How good are predictions whose labels are still to come? What calibrated probabilities expect (CBPE).

If of the rows with probability p a share p is positive, every metric of a confusion matrix has an expectation that no
label is needed for. That assumes that the truth given the score is as it was; a change of that no score can see.

References:
    Kivimäki et al. (2024), Confidence-based estimators for predictive performance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, check_alpha, pair

__all__ = [
    "Confusion",
    "accuracy_interval",
    "confidence_threshold",
    "expected_auc",
    "expected_confusion",
    "expected_confusion_of_classes",
    "expected_mean",
]

_EXACT_ROWS = 2_000
"""Up to here the distribution of the number of right answers is computed exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Expected numbers of rows by truth and prediction, 0 or more."""

    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def accuracy(self) -> float:
        """Share of right predictions, in [0, 1]; NaN without rows."""
        return _share(self.tp + self.tn, self.tp + self.fp + self.fn + self.tn)

    @property
    def precision(self) -> float:
        """Share of true ones among those predicted positive; NaN if none is."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of the positive ones that is predicted so; NaN if there is none."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of the negative ones that is predicted so; NaN if there is none."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN if nothing is positive."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def expected_confusion(probabilities: ArrayLike, predicted: ArrayLike) -> Confusion:
    """The confusion matrix to be expected.

    Args:
        probabilities: Calibrated, of class 1, shape (n,).
        predicted: The class that was served, 0 or 1, shape (n,).

    Examples:
        >>> expected_confusion([0.9, 0.8, 0.1, 0.4], [1, 1, 0, 0]).accuracy
        0.8
    """
    p, yhat = pair("probabilities", probabilities, "predicted", predicted)
    return Confusion(
        tp=float((p * yhat).sum()),
        fp=float(((1 - p) * yhat).sum()),
        fn=float((p * (1 - yhat)).sum()),
        tn=float(((1 - p) * (1 - yhat)).sum()),
    )


def expected_confusion_of_classes(probabilities: ArrayLike, predicted: ArrayLike) -> Floats:
    """Expected number of rows by true class and predicted class, shape (K, K).

    Args:
        probabilities: Calibrated, shape (n, K), each row adds up to 1.
        predicted: Number of the class that was served, shape (n,).
    """
    p, yhat = np.asarray(probabilities, dtype=np.float64), np.asarray(predicted)
    if p.ndim != 2 or yhat.shape != (p.shape[0],):
        raise ShapeMismatch("Probabilities and predictions do not fit.", given=f"shapes {p.shape} and {yhat.shape}")
    return np.column_stack([p[yhat == k].sum(axis=0) for k in range(p.shape[1])])


def expected_auc(scores: ArrayLike, probabilities: ArrayLike) -> float:
    """The area under the ROC curve to be expected: how well the raw scores rank rows of these probabilities.

    Args:
        scores: As the model gave them, shape (n,).
        probabilities: Calibrated, of class 1, shape (n,).

    Returns:
        In [0, 1], ties counted as half; NaN if no row, or every row, is surely positive.

    Examples:
        >>> round(expected_auc([0.9, 0.1], [0.8, 0.2]), 3)
        0.8
    """
    s, p = pair("scores", scores, "probabilities", probabilities)
    _, index = np.unique(s, return_inverse=True)
    positive, negative = np.bincount(index, weights=p), np.bincount(index, weights=1 - p)
    below = np.cumsum(negative) - negative
    return _share(float((positive * (below + negative / 2)).sum()), float(positive.sum() * negative.sum()))


def expected_mean(probabilities: ArrayLike, if_positive: ArrayLike, if_negative: ArrayLike) -> Floats:
    """The expectation of anything that depends on the truth, such as a loss, row by row, shape (n,).

    >>> expected_mean([0.9], [0.1], [2.0]).round(6).tolist()
    [0.29]
    """
    p, one = pair("probabilities", probabilities, "if_positive", if_positive)
    _, zero = pair("probabilities", p, "if_negative", if_negative)
    return p * one + (1 - p) * zero


def accuracy_interval(chances: ArrayLike, *, alpha: float = 0.05) -> tuple[float, float]:
    """Where the share of right answers will lie with chance ``1 - alpha``, if each row is right with its own chance.

    Exact up to 2,000 rows (Poisson-binomial), normal with continuity correction beyond. It is about the luck of these
    rows; that the chances themselves are estimates is not in it.

    Args:
        chances: Of each row to be right, in [0, 1], shape (n,).
        alpha: Chance to lie outside, at most half of it on each side.

    Examples:
        >>> accuracy_interval([0.5] * 10)
        (0.2, 0.8)
    """
    check_alpha(alpha)
    p, _ = pair("chances", chances, "chances", chances)
    if p.size == 0:
        return 0.0, 1.0
    if p.min() < 0 or p.max() > 1:
        raise UsageError("A chance is outside of [0, 1].", given=f"{p.min():g} to {p.max():g}")
    n = p.size
    if n > _EXACT_ROWS:
        half = float(special.ndtri(1 - alpha / 2) * np.sqrt((p * (1 - p)).sum()) + 0.5) / n
        return max(0.0, float(p.mean()) - half), min(1.0, float(p.mean()) + half)
    mass = np.zeros(n + 1)
    mass[0] = 1.0
    for count, each in enumerate(p, start=1):
        mass[1 : count + 1] = mass[1 : count + 1] * (1 - each) + mass[:count] * each
        mass[0] *= 1 - each
    below = np.cumsum(mass)
    lower = int(np.searchsorted(below, alpha / 2, side="right"))
    upper = int(np.searchsorted(below, 1 - alpha / 2, side="left"))
    return min(lower, n) / n, min(upper, n) / n


def confidence_threshold(confidences: ArrayLike, accuracy: float) -> float:
    """The confidence that a share ``accuracy`` of labelled rows reaches: how many new ones do estimates accuracy (ATC).

    Args:
        confidences: Of the labelled rows, shape (n,), higher is surer.
        accuracy: Their share of right answers, in [0, 1].

    Returns:
        The threshold t; ``mean(confidence >= t)`` of new rows is the estimate.

    Examples:
        >>> confidence_threshold([0.1, 0.2, 0.3, 0.4], 0.75)
        0.2

    References:
        Garg et al. (ICLR 2022), Average Thresholded Confidence.
    """
    c, _ = pair("confidences", confidences, "confidences", confidences)
    if not 0.0 <= accuracy <= 1.0 or c.size == 0:
        raise UsageError(
            "No threshold fits.", given=f"accuracy {accuracy}, {c.size} rows", accepted="a share, and rows"
        )
    above = round(accuracy * c.size)
    ordered = np.sort(c)[::-1]
    return float(np.nextafter(ordered[0], np.inf)) if above == 0 else float(ordered[above - 1])


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
