"""Betting against "the mean is at most m": the quicker test when harm at *some* time is the claim."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_range, finite_series
from kairos.stats.past import past_moments

__all__ = ["BettingState", "betting_log_e", "betting_path"]

Side = Literal["greater", "less"]

_CAP = 0.5
"""The largest share of the capital that may be lost on one value."""


def betting_log_e(x: ArrayLike, *, null_mean: float, lower: float, upper: float, side: Side = "greater") -> float:
    """Log e-value after the last value; 0 without values. See ``betting_path``.

    >>> round(betting_log_e([1.0] * 20, null_mean=0.5, lower=0.0, upper=1.0), 3)
    7.704
    """
    path = betting_path(x, null_mean=null_mean, lower=lower, upper=upper, side=side)
    return float(path[-1]) if path.size else 0.0


def betting_path(x: ArrayLike, *, null_mean: float, lower: float, upper: float, side: Side = "greater") -> Floats:
    """Log e-value after each value, against "each value's expectation given the past is at most the null".

    Reject when it ever reaches ``ln(1 / alpha)``; the chance of that under the null is at most alpha, whatever the
    number of looks. The bets learn from the past (aGRAPA), so the value depends on the order: that of what was
    measured. ``BettingState`` is the same, one value at a time.

    Args:
        x: Values, shape (n,) or (series, n), each in ``[lower, upper]``.
        null_mean: The largest (``greater``) or smallest (``less``) harmless mean, strictly inside the range.
        lower: Smallest possible value, known beforehand.
        upper: Largest possible value, known beforehand.
        side: ``greater`` gathers evidence that the mean is above ``null_mean``, ``less`` that it is below.

    Returns:
        Of the shape of ``x``.

    Raises:
        UsageError: a value is outside the range, or the null is not strictly inside it.

    References:
        Waudby-Smith & Ramdas (JRSS-B 2024), one-sided capital process with aGRAPA bets cut at 1/2.
    """
    values = finite_series("values", x)
    check_range("values", values, lower, upper)
    _check_null(null_mean, lower, upper)
    u = (values - lower) / (upper - lower)
    m = (null_mean - lower) / (upper - lower)
    if side == "less":
        u, m = 1.0 - u, 1.0 - m
    past = past_moments(u)
    before = past.mean_before - m
    bets = np.clip(before / (past.variance_before + before**2), 0.0, _CAP / m)
    return np.cumsum(np.log1p(bets * (u - m)), axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BettingState:
    """What ``betting_path`` needs to know of the past, in five numbers: for a stream without an end.

    Values come in the order of what they measure. Two states do not add up, because a bet depends on all values before
    it: workers hand their *values* on, or keep sums of values per time that are bet on when that time is over.

    Examples:
        >>> state = BettingState(null_mean=0.5, lower=0.0, upper=1.0)
        >>> for value in [1.0] * 20:
        ...     state = state.update(value)
        >>> state.n, round(state.log_e, 3)
        (20, 7.704)
    """

    null_mean: float
    lower: float
    upper: float
    side: Side = "greater"
    n: int = 0
    """Values so far."""
    total: float = 0.0
    """Their sum, on the scale where the range is [0, 1], turned round for ``less``."""
    squares: float = 0.0
    """Sum of squared deviations, each from the mean up to its value, on that scale."""
    log_e: float = 0.0
    """The log e-value so far."""

    def __post_init__(self) -> None:
        if self.n == 0:
            _check_null(self.null_mean, self.lower, self.upper)

    def update(self, x: float) -> BettingState:
        """The state after one more value; refuses one outside the range."""
        if not self.lower <= x <= self.upper:
            raise UsageError("A value is outside its range.", given=x, accepted=f"[{self.lower:g}, {self.upper:g}]")
        scale = self.upper - self.lower
        u, m = (x - self.lower) / scale, (self.null_mean - self.lower) / scale
        if self.side == "less":
            u, m = 1.0 - u, 1.0 - m
        before = (0.5 + self.total) / (self.n + 1) - m
        variance = (0.25 + self.squares) / (self.n + 1)
        bet = min(max(before / (variance + before**2), 0.0), _CAP / m)
        n, total = self.n + 1, self.total + u
        squares = self.squares + (u - (0.5 + total) / (n + 1)) ** 2
        return replace(self, n=n, total=total, squares=squares, log_e=self.log_e + math.log1p(bet * (u - m)))


def _check_null(null_mean: float, lower: float, upper: float) -> None:
    if not lower < null_mean < upper:
        raise UsageError("The null mean is not inside the range.", given=null_mean, accepted=f"({lower:g}, {upper:g})")
