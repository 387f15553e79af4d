"""Paired 0/1 losses: a score test and interval that stay honest when the two models rarely differ."""

from __future__ import annotations

import math

from scipy import optimize
from scipy import stats as distributions

from kairos.errors import UsageError
from kairos.stats.arrays import check_alpha

__all__ = ["tango_interval", "tango_z"]


def tango_z(b: float, c: float, n: float, d: float) -> float:
    """Score statistic against "the share of rows that are newly right, less that newly wrong, is ``d``".

    Large: the true difference is above d. Non-inferior at margin delta if ``tango_z(b, c, n, -delta)`` is above the
    normal quantile ``1 - alpha``. At d = 0 it is McNemar's ``(b - c) / sqrt(b + c)``.

    Args:
        b: Rows on which the challenger is right and the champion wrong.
        c: Rows on which the champion is right and the challenger wrong.
        n: All rows, above 0.
        d: Hypothetical difference, in (-1, 1).

    Examples:
        >>> round(tango_z(12, 5, 100, -0.05), 6)
        2.734498

    References:
        Tango (1998), Statistics in Medicine 17.
    """
    if not (n > 0 and b >= 0 and c >= 0 and b + c <= n * (1 + 1e-12)) or not -1.0 < d < 1.0:
        raise UsageError(
            "Rows that differ and all rows do not fit.",
            given=f"b {b!r}, c {c!r}, n {n!r}, d {d!r}",
            accepted="b + c <= n, n > 0, d in (-1, 1)",
        )
    numerator = b - c - n * d
    half_b = -b - c + (2 * n - b + c) * d
    q = (math.sqrt(max(half_b**2 + 8 * n * c * d * (1 - d), 0.0)) - half_b) / (4 * n)
    variance = n * (2 * q + d * (1 - d))
    if variance <= 1e-12 * n:
        return math.copysign(math.inf, numerator) if abs(numerator) > 1e-9 else 0.0
    return numerator / math.sqrt(variance)


def tango_interval(b: float, c: float, n: float, alpha: float) -> tuple[float, float]:
    """Bounds for the difference, each right with chance ``1 - alpha``, in [-1, 1].

    >>> low, high = tango_interval(12, 5, 100, 0.025)
    >>> round(low, 4), round(high, 4)
    (-0.0119, 0.1574)
    """
    check_alpha(alpha)
    z = float(distributions.norm.ppf(1 - alpha))
    centre = (b - c) / n
    edge = 1 - 1e-9

    def above(d: float) -> float:
        return min(tango_z(b, c, n, d), 1e6) - z

    def below(d: float) -> float:
        return max(tango_z(b, c, n, d), -1e6) + z

    lower = optimize.brentq(above, -edge, min(centre, edge)) if -edge < centre and above(-edge) > 0 else -1.0
    upper = optimize.brentq(below, max(centre, -edge), edge) if centre < edge and below(edge) < 0 else 1.0
    return float(lower), float(upper)
