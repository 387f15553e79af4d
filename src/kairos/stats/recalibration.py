"""The straight line that puts a model's answers right: between numbers, or between the log-odds of chances.

Only what is proven is changed: the level always, the slope where it is proven to be another one. Two parameters cannot
learn what noise says, so a few days of labels are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, pair

Days = NDArray[np.intp]

__all__ = ["Recalibration", "Scale", "fit_recalibration"]

Scale = Literal["plain", "log_odds"]

_SURE = 1e-6
"""Chances are kept this far away from 0 and 1, where log-odds end."""
_STEPS = 50
_FARTHEST = 20.0
"""Log-odds beyond this are those of data that a line parts without error: there is no best one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """``level + slope * answer``; with ``log_odds`` the same between the log-odds of the chances."""

    level: float
    slope: float = 1.0
    scale: Scale = "plain"

    def __call__(self, answers: ArrayLike) -> Floats:
        """The answers put right, shape (n,).

        >>> Recalibration(level=10.0, slope=2.0)([1.0, 2.0]).tolist()
        [12.0, 14.0]
        >>> Recalibration(level=0.0, slope=2.0, scale="log_odds")([0.5, 0.8]).round(3).tolist()
        [0.5, 0.941]
        """
        x = np.asarray(answers, dtype=np.float64)
        if self.scale == "plain":
            return np.asarray(self.level + self.slope * x, dtype=np.float64)
        return np.asarray(special.expit(self.level + self.slope * _log_odds(x)), dtype=np.float64)

    @property
    def words(self) -> str:
        """What is done to an answer: ``+12.3``, ``1.2 x +3``, ``log-odds -0.4``."""
        factor = "" if self.slope == 1.0 else f"{self.slope:.4g} x "
        return f"{'log-odds ' if self.scale == 'log_odds' else ''}{factor}{self.level:+.4g}"


def fit_recalibration(
    answers: ArrayLike,
    truths: ArrayLike,
    days: ArrayLike,
    *,
    scale: Scale = "plain",
    is_median: bool = False,
    alpha: float = 0.05,
) -> Recalibration | None:
    """The line that is best on these rows; a shift only, unless another slope than 1 is proven.

    Args:
        answers: What the model said, shape (n,): numbers, or with ``log_odds`` chances of class 1.
        truths: Shape (n,): numbers, or 0 and 1.
        days: Number of the day of each row, shape (n,): rows of one day err alike.
        scale: Where the line is straight.
        is_median: Whether the level is to be right in the middle rather than on average, as the absolute error asks;
            between numbers only.
        alpha: Chance of changing a slope that is right.

    Returns:
        ``None`` if there is no such line: too few rows or days, truths of one class only, or a model whose higher
        answers go with lower truths, which no recalibration mends.

    Raises:
        UsageError: with ``log_odds``, a truth that is neither 0 nor 1, or a chance outside [0, 1].

    Examples:
        >>> said = np.arange(100.0)
        >>> found = fit_recalibration(said, said + 30.0 + np.tile([-1.0, 1.0, 1.0, -1.0], 25), np.arange(100) // 10)
        >>> found.slope, round(found.level, 3)
        (1.0, 30.0)

    References:
        Cox (1958) and Platt (1999) for the line between log-odds; with slope 1 it corrects for another share of ones,
        as Saerens et al. (2002) do. The slope's error counts days as wholes (Liang & Zeger 1986).
    """
    x, y = pair("answers", answers, "truths", truths)
    day = np.unique(np.asarray(days), return_inverse=True)[1]
    count = int(day.max()) + 1 if day.size else 0
    if day.shape != x.shape or count < 3 or x.size < 3:
        return None
    if scale == "plain":
        return _between_numbers(x, y, day, is_median=is_median, alpha=alpha)
    if not np.isin(y, (0.0, 1.0)).all() or x.min() < 0 or x.max() > 1:
        raise UsageError("Chances cannot be put right.", accepted="truths 0 and 1, chances from 0 to 1")
    return _between_chances(_log_odds(x), y, day, alpha=alpha)


def _between_numbers(x: Floats, y: Floats, day: Days, *, is_median: bool, alpha: float) -> Recalibration | None:
    slope = 1.0
    if np.ptp(x) > 1e-12 * max(1.0, float(np.abs(x).max())):
        design = np.column_stack([np.ones_like(x), x - x.mean()])
        found = np.linalg.lstsq(design, y, rcond=None)[0]
        scores = design * (y - design @ found)[:, np.newaxis]
        slope = _proven(float(found[1]), _error(design.T @ design, scores, day), int(day.max()) + 1, alpha)
    if slope <= 0:
        return None
    rest = y - slope * x
    level = float(np.median(rest) if is_median else rest.mean())
    return Recalibration(level=level, slope=slope)


def _between_chances(x: Floats, y: Floats, day: Days, *, alpha: float) -> Recalibration | None:
    if y.min() == y.max():
        return None
    slope = 1.0
    if np.ptp(x) > 1e-12:
        both = _newton(np.column_stack([np.ones_like(x), x]), y, np.zeros_like(x), np.array([0.0, 1.0]))
        if both is None:
            return None
        found, hessian, scores = both
        slope = _proven(float(found[1]), _error(hessian, scores, day), int(day.max()) + 1, alpha)
    if slope <= 0:
        return None
    shift = _newton(np.ones((x.size, 1)), y, slope * x, np.array([0.0]))
    return None if shift is None else Recalibration(level=float(shift[0][0]), slope=slope, scale="log_odds")


def _newton(design: Floats, y: Floats, offset: Floats, start: Floats) -> tuple[Floats, Floats, Floats] | None:
    """Parameters, Hessian and scores of the logistic regression; ``None`` where it has no maximum."""
    found = start
    for _ in range(_STEPS):
        chance = special.expit(offset + design @ found)
        hessian = (design * (chance * (1 - chance))[:, np.newaxis]).T @ design
        scores = design * (y - chance)[:, np.newaxis]
        try:
            step = np.linalg.solve(hessian, scores.sum(axis=0))
        except np.linalg.LinAlgError:
            return None
        before = _cost(design, y, offset, found)
        while _cost(design, y, offset, found + step) > before and np.abs(step).max() > 1e-12:
            step = step / 2  # a whole step may go too far
        found = found + step
        if not np.isfinite(found).all() or np.abs(found).max() > _FARTHEST:
            return None
        if np.abs(step).max() < 1e-10:
            return found, hessian, scores
    return None


def _cost(design: Floats, y: Floats, offset: Floats, found: Floats) -> float:
    odds = offset + design @ found
    return float((np.logaddexp(0.0, odds) - y * odds).sum())


def _error(hessian: Floats, scores: Floats, day: Days) -> float:
    """Standard error of the second parameter, days taken as wholes."""
    days = int(day.max()) + 1
    sums = np.column_stack([np.bincount(day, weights=scores[:, k], minlength=days) for k in range(scores.shape[1])])
    bread = np.linalg.inv(hessian)
    variance = bread @ (sums.T @ sums * days / (days - 1)) @ bread
    return float(np.sqrt(variance[1, 1]))


def _proven(slope: float, error: float, days: int, alpha: float) -> float:
    """The slope if it is proven not to be 1, else 1."""
    if error <= 0:
        return slope
    return slope if abs(slope - 1.0) > special.stdtrit(days - 2, 1 - alpha / 2) * error else 1.0


def _log_odds(chances: Floats) -> Floats:
    """NaN where the chance is none: a broken answer stays one."""
    return np.asarray(special.logit(np.clip(chances, _SURE, 1 - _SURE)))
