"""How many rows a margin needs, and which margin the rows at hand can prove."""

from __future__ import annotations

import math

from scipy import stats as distributions

from kairos.errors import UsageError
from kairos.stats.arrays import check_alpha

__all__ = ["provable_margin", "rows_for_margin"]


def rows_for_margin(sd: float, margin: float, alpha: float, power: float = 0.8) -> int:
    """Rows that prove a true distance ``margin`` from the boundary with chance ``power``.

    ``n = (z_{1-alpha} + z_power)^2 sd^2 / margin^2`` for one one-sided bound at ``alpha``. For a 0/1 loss, ``sd^2`` is
    the share of rows on which the two models differ, less the squared difference.

    Args:
        sd: Standard deviation of the per-row difference, dependence included, in the loss's unit.
        margin: Distance between the truth and the boundary, above 0, same unit.
        alpha: Chance of a false proof, in (0, 1).
        power: Chance of a proof, in (0, 1).

    Examples:
        >>> rows_for_margin(0.05**0.5, 0.01, 0.05)
        3092
    """
    if not margin > 0.0 or not sd >= 0.0:
        raise UsageError(
            "A sample size needs a positive margin.",
            given=f"margin {margin!r}, sd {sd!r}",
            accepted="margin > 0, sd >= 0",
        )
    exact = _reach(alpha, power) ** 2 * (sd / margin) ** 2
    return max(1, math.ceil(exact - 1e-9)) if math.isfinite(exact) else 2**62


def provable_margin(n: int, sd: float, alpha: float, power: float = 0.8) -> float:
    """The smallest distance from the boundary that ``n`` rows prove with chance ``power``; ``inf`` with no rows.

    >>> round(provable_margin(4000, 0.05**0.5, 0.05), 4)
    0.0088
    """
    return _reach(alpha, power) * sd / math.sqrt(n) if n > 0 else math.inf


def _reach(alpha: float, power: float) -> float:
    check_alpha(alpha)
    check_alpha(power)
    return float(distributions.norm.ppf(1 - alpha) + distributions.norm.ppf(power))
