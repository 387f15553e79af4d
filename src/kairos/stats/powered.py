"""A mean over rows of which only some have a label yet: estimates for all of them, put right by those that have.

Labels alone are few, and the early ones are not like the others. Estimates alone may be off. Together: the mean of the
estimates, plus the mean error of the estimates on labelled rows, each of which stands for ``1 / chance`` rows, where
the chance is that a row like it would have its label by now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, Ints, check_alpha, pair

__all__ = ["PoweredMean", "powered_mean", "waiting_probabilities"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoweredMean:
    """A mean over all rows, from estimates and the labels that are there."""

    mean: float
    """NaN without any labelled row."""
    error: float
    """Standard error; infinite with fewer than two labelled rows or two blocks."""
    lower: float
    upper: float
    rows: int
    labelled: int
    effective_labels: float
    """How many labels of equal weight those that are there are worth."""


def powered_mean(
    observed: ArrayLike,
    chances: ArrayLike,
    *,
    estimated: ArrayLike | None = None,
    blocks: ArrayLike | None = None,
    alpha: float = 0.05,
) -> PoweredMean:
    """The mean over all rows.

    Without estimates it is the labelled rows' mean, weighted by the inverse of their chances. With a random sample of
    labels all chances are alike, and it is prediction-powered inference. The estimates may be as wrong as they like:
    the mean stays right, only its error grows.

    Args:
        observed: The value of each labelled row, shape (n,); NaN where there is no label yet.
        chances: Of each labelled row to have its label by now, in (0, 1], shape (n,); of the others it is not looked
            at. Rows that are too young for any label have to be left out before, labelled or not.
        estimated: The value that is expected of each row, shape (n,); ``None``: nothing is known, so 0.
        blocks: Number of the block that each row belongs to, shape (n,): rows of one block, such as a day, are alike;
            ``None``: every row is its own.
        alpha: Chance of error of the two bounds together.

    Examples:
        >>> nan = float("nan")
        >>> powered_mean([1.0, 0.0, 0.0, nan], [0.25, 0.5, 0.5, 0.5]).mean
        0.5
        >>> powered_mean([1.0, nan], [0.5, 0.5], estimated=[0.75, 0.25]).mean
        0.75

    References:
        Robins, Rotnitzky & Zhao (1994); Angelopoulos et al. (2023), Prediction-powered inference.
    """
    check_alpha(alpha)
    values, chance = np.asarray(observed, dtype=np.float64), np.asarray(chances, dtype=np.float64)
    if values.shape != chance.shape or values.ndim != 1:
        raise ShapeMismatch("Values and chances are not paired.", given=f"shapes {values.shape} and {chance.shape}")
    guess = np.zeros_like(values) if estimated is None else pair("estimated", estimated, "chances", chance)[0]
    has_label = ~np.isnan(values)
    chance = np.where(has_label, chance, 1.0)
    if not ((chance > 0) & (chance <= 1)).all():
        raise UsageError("A labelled row has no chance of a label.", accepted="above 0, and 1 at most")
    block = np.arange(values.size) if blocks is None else np.asarray(blocks)
    n, labelled = values.size, int(has_label.sum())
    weights = np.where(has_label, 1.0 / chance, 0.0)
    total = float(weights.sum())
    if labelled == 0:
        return _nothing(n)
    gap = np.where(has_label, np.nan_to_num(values) - guess, 0.0)
    correction = float((weights * gap).sum()) / total
    mean = float(guess.mean()) + correction
    influence = (guess - guess.mean()) / n + weights * (gap - correction) / total
    error = _error(influence, block) if labelled > 1 else math.inf
    z = float(special.ndtri(1 - alpha / 2))
    return PoweredMean(
        mean=mean,
        error=error,
        lower=mean - z * error,
        upper=mean + z * error,
        rows=n,
        labelled=labelled,
        effective_labels=total**2 / float((weights**2).sum()),
    )


def waiting_probabilities(
    probabilities: ArrayLike, arrived_if_positive: ArrayLike, arrived_if_negative: ArrayLike
) -> Floats:
    """The probability of class 1 for rows that have waited for their label in vain so far.

    If labels of one class are quicker, a row that still waits is rather of the other.

    Args:
        probabilities: Calibrated, of class 1, before one waited, shape (n,).
        arrived_if_positive: The share of the labels of class 1 that would be there at the row's age, in [0, 1].
        arrived_if_negative: The same for class 0.

    Examples:
        >>> waiting_probabilities([0.5], [0.5], [0.9]).round(3).tolist()
        [0.833]
    """
    p, positive = pair("probabilities", probabilities, "arrived_if_positive", arrived_if_positive)
    _, negative = pair("probabilities", p, "arrived_if_negative", arrived_if_negative)
    still_positive, still_negative = p * (1 - positive), (1 - p) * (1 - negative)
    total = still_positive + still_negative
    return np.where(total > 0, still_positive / np.where(total > 0, total, 1.0), p)


def _error(influence: Floats, block: Ints) -> float:
    """From what each row adds to the error of the mean, rows of one block together."""
    _, index = np.unique(block, return_inverse=True)
    sums = np.bincount(index, weights=influence)
    if sums.size < 2:
        return math.inf
    return math.sqrt(float((sums**2).sum()) * sums.size / (sums.size - 1))


def _nothing(rows: int) -> PoweredMean:
    return PoweredMean(
        mean=math.nan, error=math.inf, lower=-math.inf, upper=math.inf, rows=rows, labelled=0, effective_labels=0.0
    )
