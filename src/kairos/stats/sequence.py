"""Bounds for a mean that hold at all looks together, even while the mean moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammainc, gammaln

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, check_range, finite

__all__ = ["MeanSequence", "gamma_exponential_bound", "gamma_exponential_log_e", "mean_path", "mean_sequence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanSequence:
    """A running mean and the bounds that held all the while, in the unit of the values."""

    n: int
    """Values so far."""
    mean: float
    """Their mean; NaN without values."""
    lower: float
    upper: float


def mean_sequence(
    x: ArrayLike, *, lower: float, upper: float, alpha: float, v_opt: float | None = None
) -> MeanSequence:
    """Bounds for the average, so far, of the expected values: right at *every* number of values with chance 1 - alpha.

    No independence and no steady mean is assumed: the bounds cover the running average of each value's expectation
    given the past. Each side alone errs with chance at most ``alpha / 2``: for a one-sided claim at
    5 % ask for alpha 0.10.

    Args:
        x: Values in the order of what they measure, not of arrival, shape (n,), each in ``[lower, upper]``.
        lower: Smallest possible value, known beforehand.
        upper: Largest possible value, known beforehand.
        alpha: Chance that the bounds ever miss, in (0, 1).
        v_opt: Sum of squared deviations at which the bounds are tightest, in the unit of x squared; fix it beforehand.
            Left out, ``10 (upper - lower)^2``.

    Raises:
        UsageError: a value is outside the range or not finite.

    Examples:
        >>> s = mean_sequence([0, 1] * 500, lower=0, upper=1, alpha=0.05)
        >>> round(s.lower, 3), round(s.upper, 3)
        (0.441, 0.559)

    References:
        Howard, Ramdas, McAuliffe & Sekhon (AoS 2021), Proposition 9 and Theorem 4; Choe & Ramdas (2024), Theorem 2.
    """
    values, v, scaled_v_opt = _prepare(x, lower, upper, alpha, v_opt)
    if values.size == 0:
        return MeanSequence(n=0, mean=math.nan, lower=lower, upper=upper)
    reach = gamma_exponential_bound(v[-1:], c=1.0, v_opt=scaled_v_opt, alpha=alpha / 2) * (upper - lower) / values.size
    mean = float(values.mean())
    return MeanSequence(
        n=values.size, mean=mean, lower=max(lower, mean - float(reach[0])), upper=min(upper, mean + float(reach[0]))
    )


def mean_path(
    x: ArrayLike, *, lower: float, upper: float, alpha: float, v_opt: float | None = None
) -> tuple[Floats, Floats, Floats]:
    """The running mean, lower and upper bound of ``mean_sequence`` after each value, each of shape (n,)."""
    values, v, scaled_v_opt = _prepare(x, lower, upper, alpha, v_opt)
    t = np.arange(1, values.size + 1)
    mean = np.cumsum(values) / t
    reach = gamma_exponential_bound(v, c=1.0, v_opt=scaled_v_opt, alpha=alpha / 2) * (upper - lower) / t
    return mean, np.maximum(lower, mean - reach), np.minimum(upper, mean + reach)


def gamma_exponential_log_e(s: ArrayLike, v: ArrayLike, *, c: float, v_opt: float, alpha: float) -> Floats:
    """Logarithm of the gamma-exponential mixture at deviation ``s`` of the sum and intrinsic time ``v``.

    Args:
        s: Sum of values less its expectation, 0 or more.
        v: Sum of squared deviations from predictions made beforehand.
        c: Length of the interval in which each value lies.
        v_opt: The intrinsic time at which it is tuned to be tight.
        alpha: The one-sided chance of error for which it is tuned.
    """
    s, v = np.asarray(s, dtype=np.float64), np.asarray(v, dtype=np.float64)
    rho = _rho(v_opt, alpha)
    a = rho / c**2
    b = (v + rho) / c**2
    y = (c * s + v + rho) / c**2
    prior = a * math.log(a) - float(gammaln(a)) - math.log(float(gammainc(a, a)))
    with np.errstate(divide="ignore"):
        out = prior + gammaln(b) + np.log(gammainc(b, y)) - b * np.log(y) + (c * s + v) / c**2
    return np.asarray(out, dtype=np.float64)


def gamma_exponential_bound(v: ArrayLike, *, c: float, v_opt: float, alpha: float) -> Floats:
    """The deviation of the sum that is ever exceeded with chance at most ``alpha`` (one-sided), for each ``v``.

    >>> round(float(gamma_exponential_bound([100.0], c=2.0, v_opt=100.0, alpha=0.05)[0]), 5)
    33.02017
    """
    v = np.asarray(v, dtype=np.float64)
    target = math.log(1 / alpha)
    low, high = np.zeros_like(v), 2.0 * (np.sqrt(v + c * c) + c) * (1 + target)
    for _ in range(60):
        short = gamma_exponential_log_e(high, v, c=c, v_opt=v_opt, alpha=alpha) < target
        if not short.any():
            break
        high = np.where(short, 2 * high, high)
    for _ in range(60):
        middle = (low + high) / 2
        above = gamma_exponential_log_e(middle, v, c=c, v_opt=v_opt, alpha=alpha) >= target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return high


def _rho(v_opt: float, alpha: float) -> float:
    spread = 2 * math.log(1 / (2 * alpha)) if alpha < 0.5 else 0.0
    return v_opt / (spread + math.log1p(spread)) if spread > 0 else v_opt


def _prepare(
    x: ArrayLike, lower: float, upper: float, alpha: float, v_opt: float | None
) -> tuple[Floats, Floats, float]:
    """The values, their intrinsic time on the scale where the range has length 1, and ``v_opt`` on that scale."""
    check_alpha(alpha)
    values = finite("values", x)
    check_range("values", values, lower, upper)
    scaled_v_opt = 10.0 if v_opt is None else v_opt / (upper - lower) ** 2
    if not scaled_v_opt > 0:
        raise UsageError("The bounds cannot be tuned.", given=f"v_opt {v_opt!r}", accepted="a number above 0")
    u = (values - lower) / (upper - lower)
    # The prediction of each value is the mean of those before it; of the first, the middle of the range.
    predictions = np.concatenate([[0.5], np.cumsum(u)[:-1] / np.arange(1, u.size)]) if u.size else u
    return values, np.cumsum((u - predictions) ** 2), scaled_v_opt
