"""One value for every comparison of two models on the same rows, whatever is measured: a difference and its bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kairos.stats.arrays import check_alpha
from kairos.stats.dependence import Spread
from kairos.stats.tango import tango_z

__all__ = ["LEVELS", "Comparison", "differing", "from_curve", "from_spread", "t_quantile", "unknown"]

LEVELS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999,
)  # fmt: skip
"""One-sided levels at which a curve of bounds is kept."""

_Z = tuple(float(special.ndtri(level)) for level in LEVELS)
_NEARLY_ONE = 1 - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two models' values of one metric on the same rows, in its unit; difference above 0: the challenger is better."""

    n: int
    """Rows."""
    champion: float
    """The champion's value."""
    challenger: float
    """The challenger's value."""
    difference: float
    """How much better the challenger is: ``champion - challenger`` where lower is better, else the reverse."""
    lower: float
    """The true difference is above this with chance ``1 - alpha``; ``-inf`` if nothing is known."""
    upper: float
    """The true difference is below this with chance ``1 - alpha``; ``inf`` if nothing is known."""
    se: float
    """Standard error of ``difference``; ``inf`` if nothing is known, never 0 for lack of data."""
    df: float
    """Degrees of freedom of the t quantile; ``inf`` for the normal one."""
    design_effect: float
    """Variance with dependence between rows over variance without; 1 for independent rows."""
    block_length: float
    """How many rows count as one block, on average."""
    discordant: int
    """Rows on which the two models differ."""
    method: str
    """How the bounds were made: ``t``, ``tango``, ``delta``, ``delong``, ``cells``, ``bootstrap``, ``studentised`` or
    ``betting``."""
    dependence: str = "independent"
    """What rows may depend on each other by: ``independent``, ``times``, ``entities`` or ``times and entities``."""
    own_lower: float = -math.inf
    """The challenger's true value is above this with chance ``1 - alpha``; ``-inf`` if that was not asked."""
    own_upper: float = math.inf
    """… and below this; ``inf`` if that was not asked."""
    rarest: int | None = None
    """Rows of the rarest class that the metric conditions on; ``None`` if it conditions on none."""
    curve: tuple[float, ...] = ()
    """Where bounds have no formula: what the true difference is above with chance ``1 - level``, for each of
    ``LEVELS``."""

    @property
    def sd(self) -> float:
        """Standard deviation that one row contributes, dependence included: ``se * sqrt(n)``."""
        return self.se * math.sqrt(self.n) if self.n else math.inf

    def p_below(self, difference: float) -> float:
        """P-value against "the true difference is at least ``difference``"; small means it is proven to be lower."""
        return self._p(difference, side=1)

    def p_above(self, difference: float) -> float:
        """P-value against "the true difference is at most ``difference``"; small means it is proven to be higher."""
        return self._p(difference, side=-1)

    def _p(self, difference: float, *, side: Literal[1, -1]) -> float:
        if not math.isfinite(self.se):
            return 1.0
        z = side * self._z(difference)
        if math.isnan(z):  # no spread at all, and nothing to tell apart
            return 1.0
        return float(special.ndtr(z) if math.isinf(self.df) or self._has_normal_z else special.stdtr(self.df, z))

    @property
    def _has_normal_z(self) -> bool:
        return self.method == "tango" or bool(self.curve)

    def _z(self, difference: float) -> float:
        """How far what is seen lies above a true difference, in standard errors; NaN for 0 of 0."""
        if self.method == "tango":
            gained = (self.discordant + round(self.n * self.difference)) / 2
            within = min(max(difference, -_NEARLY_ONE), _NEARLY_ONE)
            return tango_z(gained, self.discordant - gained, self.n, within)
        if self.curve:
            return -self._z_of_curve(difference)
        return _ratio(self.difference - difference, self.se)

    def _z_of_curve(self, difference: float) -> float:
        """Between two levels by their normal quantiles; beyond the last ones as a normal distribution goes on."""
        if difference < self.curve[0]:
            return _Z[0] + _ratio(difference - self.curve[0], self.se)
        if difference > self.curve[-1]:
            return _Z[-1] + _ratio(difference - self.curve[-1], self.se)
        return float(np.interp(difference, self.curve, _Z))


def from_spread(
    champion: float,
    challenger: float,
    difference: float,
    found: Spread,
    *,
    alpha: float,
    n: int,
    discordant: int,
    method: str,
    dependence: str = "independent",
    own: Spread | None = None,
) -> Comparison:
    """A comparison whose bounds are those of a t distribution, or of a normal one if ``df`` is infinite.

    Args:
        champion: Its value.
        challenger: Its value.
        difference: Above 0: the challenger is better.
        found: Of the difference.
        alpha: Chance of error of each bound, in (0, 1).
        n: Rows.
        discordant: Rows on which the two differ.
        method: How it was made.
        dependence: By what rows may depend.
        own: Of the challenger's own value.
    """
    check_alpha(alpha)
    lower, upper = _bounds(difference, found, alpha)
    own_lower, own_upper = (-math.inf, math.inf) if own is None else _bounds(challenger, own, alpha)
    return Comparison(
        n=n,
        champion=champion,
        challenger=challenger,
        difference=difference,
        lower=lower,
        upper=upper,
        se=found.se,
        df=found.df,
        design_effect=found.design_effect,
        block_length=found.block_length,
        discordant=discordant,
        method=method,
        dependence=dependence,
        own_lower=own_lower,
        own_upper=own_upper,
    )


def from_curve(
    champion: float,
    challenger: float,
    difference: float,
    quantile: Callable[[float], float],
    *,
    alpha: float,
    n: int,
    discordant: int,
    method: str,
    found: Spread,
    dependence: str = "independent",
    own: tuple[float, float] = (-math.inf, math.inf),
) -> Comparison:
    """A comparison whose bounds have no formula.

    Args:
        champion: Its value.
        challenger: Its value.
        difference: Above 0: the challenger is better.
        quantile: From a level to what the true difference is above with chance ``1 - level``; never falling.
        alpha: Chance of error of each bound, in (0, 1).
        n: Rows.
        discordant: Rows on which the two differ.
        method: How it was made.
        found: Standard error, design effect and block length of the difference.
        dependence: By what rows may depend.
        own: Bounds of the challenger's own value.
    """
    check_alpha(alpha)
    curve = np.maximum.accumulate([quantile(level) for level in LEVELS])
    return Comparison(
        n=n,
        champion=champion,
        challenger=challenger,
        difference=difference,
        lower=quantile(alpha),
        upper=quantile(1 - alpha),
        se=found.se,
        df=found.df,
        design_effect=found.design_effect,
        block_length=found.block_length,
        discordant=discordant,
        method=method,
        dependence=dependence,
        own_lower=own[0],
        own_upper=own[1],
        curve=tuple(curve.tolist()),
    )


def unknown(
    champion: float,
    challenger: float,
    difference: float,
    *,
    n: int,
    discordant: int = 0,
    method: str = "t",
    dependence: str = "independent",
) -> Comparison:
    """A comparison that proves nothing: its bounds are infinite."""
    nothing = Spread(se=math.inf, df=1.0, design_effect=1.0, block_length=float(max(n, 1)))
    return from_spread(
        champion,
        challenger,
        difference,
        nothing,
        alpha=0.5,
        n=n,
        discordant=discordant,
        method=method,
        dependence=dependence,
    )


def t_quantile(level: float, df: float) -> float:
    """The t quantile, or the normal one if ``df`` is infinite.

    >>> round(t_quantile(0.95, 10.0), 4), round(t_quantile(0.95, float("inf")), 4)
    (1.8125, 1.6449)
    """
    return float(special.ndtri(level) if math.isinf(df) else special.stdtrit(df, level))


def differing(first: NDArray[Any], second: NDArray[Any]) -> int:
    """On how many rows the two are not the same."""
    return int(np.count_nonzero(first != second))


def _bounds(centre: float, found: Spread, alpha: float) -> tuple[float, float]:
    if math.isinf(found.se):  # also where the centre is NaN, for want of rows
        return -math.inf, math.inf
    reach = t_quantile(1 - alpha, found.df) * found.se
    return centre - reach, centre + reach


def _ratio(distance: float, se: float) -> float:
    if se > 0.0:
        return distance / se
    return math.copysign(math.inf, distance) if distance else math.nan
