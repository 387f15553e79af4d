"""Is a rate above (or below) a cap? An exact test from two counts, valid at any number of looks."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincc, betaln

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha
from kairos.stats.boundaries import BetaBinomial
from kairos.values import Interval

__all__ = ["rate_interval", "rate_log_e", "rate_log_e_path"]


def rate_log_e(k: int, n: int, p0: float, side: Literal["greater", "less"]) -> float:
    """Log e-value from ``k`` events in ``n`` trials: ``greater`` against "p <= p0", ``less`` against "p >= p0".

    Reject when it reaches ``ln(1 / alpha)``, however often one looks. It depends on counts alone: workers add up.
    The null is that each trial's chance, given the past, is on p0's side; trials need not be alike.

    Args:
        k: Events, 0 to n.
        n: Trials.
        p0: The cap, in (0, 1).
        side: Which direction is evidence.

    Examples:
        >>> round(rate_log_e(20, 1000, 0.01, "greater"), 6)
        1.991326

    References:
        Beta-binomial mixture with a Beta(2 p0, 2 (1 - p0)) prior cut off at p0; Howard et al. (2021).
    """
    if not 0 <= k <= n:
        raise UsageError("Events and trials do not fit.", given=f"{k} of {n}", accepted="0 <= k <= n")
    return float(rate_log_e_path(k, n, p0, side))


def rate_log_e_path(k: ArrayLike, n: ArrayLike, p0: float, side: Literal["greater", "less"]) -> Floats:
    """``rate_log_e`` of many counts at once, of their shape: events so far ``k`` among trials so far ``n``."""
    if not 0.0 < p0 < 1.0:
        raise UsageError("A cap on a rate must be a rate.", given=p0, accepted="a number strictly between 0 and 1")
    events, trials = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    tail = betaincc if side == "greater" else betainc
    a, b = 2 * p0, 2 * (1 - p0)
    after_a, after_b = a + events, b + trials - events
    with np.errstate(divide="ignore"):
        likelihood = (
            betaln(after_a, after_b) - betaln(a, b) + np.log(tail(after_a, after_b, p0)) - np.log(tail(a, b, p0))
        )
    return np.asarray(likelihood - events * math.log(p0) - (trials - events) * math.log1p(-p0), dtype=np.float64)


def rate_interval(k: int, n: int, *, alpha: float, t_opt: float) -> Interval:
    """The rate of ``k`` events in ``n`` trials, with bounds that hold at all numbers of trials with chance 1 - alpha.

    For a steady rate. It depends on counts alone: workers add up.

    Args:
        k: Events, 0 to n.
        n: Trials; without any the bounds are 0 and 1 and the estimate is NaN.
        alpha: Chance that the bounds ever miss.
        t_opt: Number of trials at which they are tightest; fix it beforehand.

    Examples:
        >>> found = rate_interval(5, 50, alpha=0.05, t_opt=50)
        >>> round(found.lower, 4), round(found.upper, 4)
        (0.013, 0.2693)

    References:
        Howard et al. (2021), two-sided beta-binomial mixture for each candidate rate.
    """
    check_alpha(alpha)
    if not 0 <= k <= n:
        raise UsageError("Events and trials do not fit.", given=f"{k} of {n}", accepted="0 <= k <= n")

    def refused(p: float) -> bool:
        mixture = BetaBinomial(v_opt=p * (1 - p) * t_opt, g=p, h=1 - p, sides=2)
        return float(mixture.log_e(k - p * n, p * (1 - p) * n)) >= math.log(1 / alpha)

    def last_refused(end: float, inside: float) -> float:
        for _ in range(50):
            middle = (end + inside) / 2
            end, inside = (middle, inside) if refused(middle) else (end, middle)
        return end

    estimate = k / n if n else math.nan
    return Interval(
        estimate=estimate,
        lower=last_refused(0.0, estimate) if k else 0.0,
        upper=last_refused(1.0, estimate) if k < n else 1.0,
        level=1 - alpha,
        unit="",
    )
