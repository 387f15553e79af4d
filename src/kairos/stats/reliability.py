"""Do predictions mean what they say: is what is predicted to be 30 on average 30, and 0.3 true in three of ten?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from kairos.stats.arrays import Floats, check_alpha, pair
from kairos.stats.comparison import t_quantile
from kairos.stats.dependence import INDEPENDENT, Dependence, spread

__all__ = ["Calibration", "ReliabilityBin", "calibrate", "wilson"]

_BINS = 10
_STEPS = 50
_SURE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Rows whose predictions are alike."""

    rows: int
    predicted: float
    """Mean prediction."""
    observed: float
    """Mean truth."""
    lower: float
    """The true mean is above this with chance ``1 - alpha``."""
    upper: float
    """The true mean is below this with chance ``1 - alpha``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How a model's predictions lie to the truth, in the target's unit."""

    rows: int
    bias: float
    """Mean of ``prediction - truth``; above 0: predicts too much."""
    bias_lower: float
    bias_upper: float
    mean_truth: float
    slope: float
    """Of the truth on the prediction (for probabilities on the logit scale): 1 is right, below 1 is too sure."""
    slope_lower: float
    slope_upper: float
    intercept: float
    """What goes with the slope: 0 is right."""
    ece: float
    """Mean distance of observed and predicted over the bins; for display: it is above 0 by chance alone."""
    bins: tuple[ReliabilityBin, ...]
    """Ten parts of the rows, by prediction, lowest first."""


def calibrate(
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    alpha: float,
    dependence: Dependence = INDEPENDENT,
    probability: bool = False,
) -> Calibration:
    """Compares predictions with what came true, at one look.

    Args:
        truth: Shape (n,); for probabilities 0 or 1.
        prediction: Shape (n,).
        alpha: Chance of error of each bound, in (0, 1).
        dependence: Of the rows.
        probability: Whether predictions are chances of 1: the slope is then that of a logistic regression on their
            logits, and the bins have Wilson's bounds.

    Returns:
        NaN and infinite bounds where the rows tell nothing.

    Examples:
        >>> c = calibrate([0.0, 10.0, 20.0, 30.0], [2.0, 11.0, 21.0, 34.0], alpha=0.05)
        >>> round(c.bias, 2), round(c.slope, 3), round(c.intercept, 3)
        (2.0, 0.936, -0.919)

    References:
        Cox (1958) for slope and intercept on the logit scale; Wilson (1927).
    """
    check_alpha(alpha)
    y, p = pair("truth", truth, "prediction", prediction)
    error = p - y
    found = spread(error, dependence)
    bias = float(error.mean()) if y.size else math.nan
    reach = t_quantile(1 - alpha, found.df) * found.se
    slope, intercept, moves = _logistic(y, p) if probability else _linear(y, p)
    slope_found = spread(moves, dependence)
    slope_reach = t_quantile(1 - alpha, slope_found.df) * slope_found.se if math.isfinite(slope) else math.inf
    bins = _bins(y, p, alpha, found.design_effect, probability=probability)
    return Calibration(
        rows=y.size,
        bias=bias,
        bias_lower=bias - reach,
        bias_upper=bias + reach,
        mean_truth=float(y.mean()) if y.size else math.nan,
        slope=slope,
        slope_lower=slope - slope_reach,
        slope_upper=slope + slope_reach,
        intercept=intercept,
        ece=sum(one.rows * abs(one.observed - one.predicted) for one in bins) / max(y.size, 1),
        bins=bins,
    )


def wilson(successes: float, n: float, alpha: float) -> tuple[float, float]:
    """Bounds for a share, each right with chance ``1 - alpha``.

    >>> low, high = wilson(5, 50, 0.05)
    >>> round(low, 4), round(high, 4)
    (0.0495, 0.1915)
    """
    if n <= 0:
        return 0.0, 1.0
    z = t_quantile(1 - alpha, math.inf)
    share = successes / n
    centre = share + z**2 / (2 * n)
    reach = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, (centre - reach) / (1 + z**2 / n)), min(1.0, (centre + reach) / (1 + z**2 / n))


def _linear(y: Floats, p: Floats) -> tuple[float, float, Floats]:
    """Least squares of the truth on the prediction; and how far each row moves the slope, times n."""
    variance = float(p.var()) if p.size else 0.0
    if not variance > 0:
        return math.nan, math.nan, np.zeros_like(p)
    centred = p - p.mean()
    slope = float((centred * y).mean()) / variance
    intercept = float(y.mean() - slope * p.mean())
    return slope, intercept, centred * (y - intercept - slope * p) / variance


def _logistic(y: Floats, p: Floats) -> tuple[float, float, Floats]:
    """Logistic regression of the truth on the prediction's logit, by Newton's steps."""
    logit = special.logit(np.clip(p, _SURE, 1 - _SURE))
    design = np.column_stack([np.ones_like(logit), logit])
    if y.size == 0 or y.min() == y.max() or np.ptp(logit) == 0:
        return math.nan, math.nan, np.zeros_like(p)
    beta = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        chance = special.expit(design @ beta)
        information = (design * (chance * (1 - chance))[:, None]).T @ design / y.size
        if np.linalg.cond(information) > 1e12:  # separated: no finite slope is best
            return math.nan, math.nan, np.zeros_like(p)
        step = np.linalg.solve(information, design.T @ (y - chance) / y.size)
        beta = beta + np.clip(step, -5.0, 5.0)
        if float(np.abs(step).max()) < 1e-10:
            break
    chance = special.expit(design @ beta)
    moves = (design * (y - chance)[:, None]) @ np.linalg.inv(information)
    return float(beta[1]), float(beta[0]), np.asarray(moves[:, 1])


def _bins(y: Floats, p: Floats, alpha: float, effect: float, *, probability: bool) -> tuple[ReliabilityBin, ...]:
    """Ten parts of as many rows each, equal predictions together; bounds are wider by the design effect."""
    if y.size == 0:
        return ()
    edges = np.unique(np.quantile(p, np.linspace(0, 1, _BINS + 1)[1:-1]))
    part = np.searchsorted(edges, p, side="left")
    found = []
    for name in np.unique(part).tolist():
        mine = part == name
        rows, truths = int(mine.sum()), y[mine]
        observed = float(truths.mean())
        if probability:
            lower, upper = wilson(observed * rows / effect, rows / effect, alpha)
        else:
            one = spread(truths)
            reach = t_quantile(1 - alpha, one.df) * one.se * math.sqrt(effect)
            lower, upper = observed - reach, observed + reach
        found.append(
            ReliabilityBin(rows=rows, predicted=float(p[mine].mean()), observed=observed, lower=lower, upper=upper)
        )
    return tuple(found)
