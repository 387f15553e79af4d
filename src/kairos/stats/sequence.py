"""Bounds for a mean that hold at all looks together, even while the mean moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammainc, gammaln

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, check_range, finite, finite_series
from kairos.stats.boundaries import normal_rho

__all__ = [
    "MeanSequence",
    "MeanState",
    "gamma_exponential_bound",
    "gamma_exponential_log_e",
    "mean_log_e_path",
    "mean_path",
    "mean_sequence",
]


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


def mean_log_e_path(
    x: ArrayLike, truth: ArrayLike, *, lower: float, upper: float, alpha: float, v_opt: float | None = None
) -> Floats:
    """Log e-value after each value against "the average expectation so far is ``truth``", in the direction it strays.

    The bounds of ``mean_path`` leave ``truth`` out exactly where it reaches ``ln(2 / alpha)``; this is quicker to
    compute than bounds, for many series at once.

    Args:
        x: Values, shape (n,) or (series, n), each in ``[lower, upper]``.
        truth: One average for all times, or one for each, shape (n,).
        lower: Smallest possible value.
        upper: Largest possible value.
        alpha: Two-sided chance of error for which it is tuned.
        v_opt: As in ``mean_sequence``.
    """
    values = finite_series("values", x)
    check_range("values", values, lower, upper)
    tuned = _scaled_v_opt(v_opt, lower, upper)
    u = (values - lower) / (upper - lower)
    t = np.arange(1, u.shape[-1] + 1)
    strays = np.abs(np.cumsum(u, axis=-1) - t * (np.asarray(truth) - lower) / (upper - lower))
    return gamma_exponential_log_e(strays, _intrinsic_time(u), c=1.0, v_opt=tuned, alpha=alpha / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanState:
    """What ``mean_sequence`` needs to know of the past, in three numbers: for a stream without an end.

    Values come in the order of what they measure. Two states do not add up, since the spread of each value is measured
    from the mean of those before it.

    Examples:
        >>> state = MeanState(lower=0.0, upper=1.0)
        >>> for value in [0.0, 1.0] * 500:
        ...     state = state.update(value)
        >>> found = state.bounds(alpha=0.05)
        >>> round(found.lower, 3), round(found.upper, 3)
        (0.441, 0.559)
        >>> state.log_e_below(0.56, alpha=0.05) > math.log(2 / 0.05)
        True
    """

    lower: float
    upper: float
    n: int = 0
    """Values so far."""
    total: float = 0.0
    """Their sum, on the scale where the range is [0, 1]."""
    squares: float = 0.0
    """Sum of squared deviations, each from the mean before its value, on that scale: the intrinsic time."""

    def update(self, x: float) -> MeanState:
        """The state after one more value; refuses one outside the range."""
        if not self.lower <= x <= self.upper:
            raise UsageError("A value is outside its range.", given=x, accepted=f"[{self.lower:g}, {self.upper:g}]")
        u = (x - self.lower) / (self.upper - self.lower)
        expected = self.total / self.n if self.n else 0.5
        return replace(self, n=self.n + 1, total=self.total + u, squares=self.squares + (u - expected) ** 2)

    @property
    def mean(self) -> float:
        """The mean so far; NaN without values."""
        return self.lower + (self.upper - self.lower) * self.total / self.n if self.n else math.nan

    def bounds(self, *, alpha: float, v_opt: float | None = None) -> MeanSequence:
        """Mean and bounds, as ``mean_sequence`` gives them; a search, which takes a millisecond."""
        tuned = _scaled_v_opt(v_opt, self.lower, self.upper)
        if self.n == 0:
            return MeanSequence(n=0, mean=math.nan, lower=self.lower, upper=self.upper)
        found = gamma_exponential_bound(self.squares, c=1.0, v_opt=tuned, alpha=check_alpha(alpha) / 2)
        reach = float(found) * (self.upper - self.lower) / self.n
        return MeanSequence(
            n=self.n, mean=self.mean, lower=max(self.lower, self.mean - reach), upper=min(self.upper, self.mean + reach)
        )

    def log_e_below(self, limit: float, *, alpha: float, v_opt: float | None = None) -> float:
        """Log e-value for "the average so far is below ``limit``"; the upper bound is, at ln(2 / alpha)."""
        return self._log_e(self.n * (limit - self.lower) / (self.upper - self.lower) - self.total, alpha, v_opt)

    def log_e_above(self, limit: float, *, alpha: float, v_opt: float | None = None) -> float:
        """Log e-value for "the average so far is above ``limit``"; the lower bound is, at ln(2 / alpha)."""
        return self._log_e(self.total - self.n * (limit - self.lower) / (self.upper - self.lower), alpha, v_opt)

    def _log_e(self, strays: float, alpha: float, v_opt: float | None) -> float:
        tuned = _scaled_v_opt(v_opt, self.lower, self.upper)
        return float(gamma_exponential_log_e(max(strays, 0.0), self.squares, c=1.0, v_opt=tuned, alpha=alpha / 2))


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
    rho = normal_rho(v_opt, alpha, 1)
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


def _prepare(
    x: ArrayLike, lower: float, upper: float, alpha: float, v_opt: float | None
) -> tuple[Floats, Floats, float]:
    """The values, their intrinsic time on the scale where the range has length 1, and ``v_opt`` on that scale."""
    check_alpha(alpha)
    values = finite("values", x)
    check_range("values", values, lower, upper)
    u = (values - lower) / (upper - lower)
    return values, _intrinsic_time(u), _scaled_v_opt(v_opt, lower, upper)


def _scaled_v_opt(v_opt: float | None, lower: float, upper: float) -> float:
    tuned = 10.0 if v_opt is None else v_opt / (upper - lower) ** 2
    if not tuned > 0:
        raise UsageError("The bounds cannot be tuned.", given=f"v_opt {v_opt!r}", accepted="a number above 0")
    return tuned


def _intrinsic_time(u: Floats) -> Floats:
    """Sum of squared deviations, each from the mean of the values before it; of the first, from 1/2."""
    expected = np.full_like(u, 0.5)
    expected[..., 1:] = np.cumsum(u, axis=-1)[..., :-1] / np.arange(1, u.shape[-1])
    return np.cumsum((u - expected) ** 2, axis=-1)
