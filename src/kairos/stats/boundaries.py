"""How far may a sum stray from what is expected of it, at all times together? Boundaries that curve with its variance.

A mixture puts a prior on the size of the deviation. ``log_e(s, v)`` is the logarithm of the resulting e-process for a
sum that is ``s`` above its expectation when its intrinsic time (a sum of variances) is ``v``; ``bound`` gives the
deviation at which it reaches ``1 / alpha``. The gamma-exponential one, for values of unknown variance, is in
``sequence``. Each is tightest at ``v_opt``, which is fixed beforehand.

References:
    Howard, Ramdas, McAuliffe & Sekhon (AoS 2021), Propositions 5 to 10; ``rho`` is chosen by its equation 25.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaln, gammaincc, gammaln, log_ndtr

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha

__all__ = ["BetaBinomial", "GammaPoisson", "Mixture", "NormalMixture", "bound", "normal_rho"]

Sides = Literal[1, 2]
"""1: against deviations upwards; 2: in either direction."""


class Mixture(Protocol):
    """An e-process of a sum and its intrinsic time."""

    def log_e(self, s: ArrayLike, v: ArrayLike) -> Floats:
        """Natural logarithm of the e-process; shapes broadcast."""
        ...

    def furthest(self, v: Floats) -> Floats:
        """The largest deviation that is possible at ``v``; infinite if there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalMixture:
    """For sums of sub-Gaussian values: ``v`` is the sum of their variance proxies, such as n / 4 on [0, 1].

    >>> round(float(bound(NormalMixture(v_opt=100, sides=2), 100.0, 0.05)), 5)
    30.35209
    """

    v_opt: float
    sides: Sides = 1
    alpha: float = 0.05
    """The chance of error for which it is tuned."""

    @property
    def rho(self) -> float:
        """Precision of the prior on the slope of the deviation."""
        return normal_rho(self.v_opt, self.alpha, self.sides)

    def log_e(self, s: ArrayLike, v: ArrayLike) -> Floats:
        """Natural logarithm of the e-process."""
        s, total = np.asarray(s, dtype=np.float64), np.asarray(v, dtype=np.float64) + self.rho
        both = 0.5 * np.log(self.rho / total) + s**2 / (2 * total)
        return np.asarray(both if self.sides == 2 else both + math.log(2) + log_ndtr(s / np.sqrt(total)))

    def furthest(self, v: Floats) -> Floats:
        """There is no limit."""
        return np.full_like(v, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaPoisson:
    """For counts and other sums with Poisson-like tails: jumps up are at most ``c``, ``v`` is the expected variance.

    >>> round(float(bound(GammaPoisson(v_opt=100, c=2), 100.0, 0.05)), 4)
    30.1949
    """

    v_opt: float
    c: float
    alpha: float = 0.05

    def log_e(self, s: ArrayLike, v: ArrayLike) -> Floats:
        """Natural logarithm of the e-process."""
        s, v = np.asarray(s, dtype=np.float64), np.asarray(v, dtype=np.float64)
        a = normal_rho(self.v_opt, self.alpha, 1) / self.c**2
        b = v / self.c**2 + a
        shape = s / self.c + b
        prior = a * math.log(a) - float(gammaln(a)) - math.log(float(gammaincc(a, a)))
        return np.asarray(
            prior + gammaln(shape) + np.log(gammaincc(shape, b)) - shape * np.log(b) + v / self.c**2, dtype=np.float64
        )

    def furthest(self, v: Floats) -> Floats:
        """There is no limit."""
        return np.full_like(v, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaBinomial:
    """For sums of values in an interval: each is at most ``h`` above and ``g`` below its expectation; ``v`` is n g h.

    Where no deviation is enough, the bound is ``v / g``, the largest possible one: compare with a strict ``>``.

    >>> round(float(bound(BetaBinomial(v_opt=100, g=0.2, h=0.8), 100.0, 0.05)), 5)
    28.41238
    """

    v_opt: float
    g: float
    h: float
    sides: Sides = 1
    alpha: float = 0.05

    def log_e(self, s: ArrayLike, v: ArrayLike) -> Floats:
        """Natural logarithm of the e-process."""
        s, v = np.asarray(s, dtype=np.float64), np.asarray(v, dtype=np.float64)
        g, h, whole = self.g, self.h, self.g + self.h
        r = max(normal_rho(self.v_opt, self.alpha, self.sides) - g * h, 1e-3 * g * h)
        null = v / (g * h) * math.log(whole) - (v + h * s) / (h * whole) * math.log(g)
        null = null - (v - g * s) / (g * whole) * math.log(h)
        after = self._log_beta((r + v - g * s) / (g * whole), (r + v + h * s) / (h * whole))
        return np.asarray(null + after - self._log_beta(r / (g * whole), r / (h * whole)), dtype=np.float64)

    def _log_beta(self, a: Floats | float, b: Floats | float) -> Floats:
        """Logarithm of the beta integral, of the part that speaks for deviations upwards if one-sided."""
        with np.errstate(divide="ignore"):
            part = np.log(betainc(a, b, self.h / (self.g + self.h))) if self.sides == 1 else 0.0
        return np.asarray(part + betaln(a, b), dtype=np.float64)

    def furthest(self, v: Floats) -> Floats:
        """All values at their upper end."""
        return v / self.g


def bound(mixture: Mixture, v: ArrayLike, alpha: float) -> Floats:
    """The deviation of the sum that is ever exceeded with chance at most ``alpha``, for each time in ``v``."""
    check_alpha(alpha)
    times = np.asarray(v, dtype=np.float64)
    target = math.log(1 / alpha)
    most = mixture.furthest(times)
    low, high = np.zeros_like(times), np.minimum(most, 2.0 * (np.sqrt(times + 1) + 1) * (1 + target))
    for _ in range(60):
        short = (high < most) & (mixture.log_e(high, times) < target)
        if not short.any():
            break
        high = np.where(short, np.minimum(2 * high, most), high)
    for _ in range(60):
        middle = (low + high) / 2
        above = mixture.log_e(middle, times) >= target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return high


def normal_rho(v_opt: float, alpha: float, sides: Sides) -> float:
    """The precision of the prior that makes a mixture tight at ``v_opt``.

    >>> round(normal_rho(100, 0.05, 2), 5)
    12.60056
    """
    if not v_opt > 0:
        raise UsageError("A boundary cannot be tuned.", given=f"v_opt {v_opt!r}", accepted="a number above 0")
    chance = check_alpha(alpha) * (2 if sides == 1 else 1)
    spread = 2 * math.log(1 / chance) if chance < 1 else 0.0
    return v_opt / (spread + math.log1p(spread)) if spread > 0 else v_opt
