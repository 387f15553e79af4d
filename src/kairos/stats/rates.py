"""Is a rate above (or below) a cap? An exact test from two counts, valid at any number of looks."""

from __future__ import annotations

import math
from typing import Literal

from scipy.special import betainc, betaincc, betaln

from kairos.errors import UsageError

__all__ = ["rate_log_e"]


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
    if not 0.0 < p0 < 1.0:
        raise UsageError("A cap on a rate must be a rate.", given=p0, accepted="a number strictly between 0 and 1")
    tail = betaincc if side == "greater" else betainc
    a, b = 2 * p0, 2 * (1 - p0)
    after = float(tail(a + k, b + n - k, p0))
    if after == 0.0:
        return -math.inf
    mixture = float(betaln(a + k, b + n - k) - betaln(a, b)) + math.log(after) - math.log(float(tail(a, b, p0)))
    return mixture - k * math.log(p0) - (n - k) * math.log1p(-p0)
