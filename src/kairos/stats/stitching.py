"""Boundaries in closed form that hold for ever and grow as slowly as they may: with the iterated logarithm of time.

Looser than a mixture near the time of interest, tighter in the very long run, and without an equation to solve.

References:
    Howard, Ramdas, McAuliffe & Sekhon (AoS 2021), Theorem 1 (polynomial stitching); Howard & Ramdas (Bernoulli 2022),
    Theorems 2 (the whole empirical distribution) and 3 (all quantiles at all times: double stitching).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize
from scipy.special import zeta

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha

__all__ = ["distribution_band", "polynomial_bound", "quantile_rank_bound"]

_ETA = 2.0
"""Each stitched piece covers times up to twice its start."""
_S = 1.4
"""The pieces' shares of alpha fall like 1 / k^s."""


def polynomial_bound(v: ArrayLike, *, alpha: float, v_min: float, c: float = 0.0) -> Floats:
    """The deviation of a sum that is ever exceeded with chance at most ``alpha``.

    Args:
        v: Intrinsic time of the sum; below ``v_min`` it counts as that.
        alpha: One-sided chance of error.
        v_min: Where the boundary begins to curve, above 0.
        c: Scale of sub-gamma tails; 0 for sub-Gaussian ones.

    >>> round(float(polynomial_bound(100.0, alpha=0.05, v_min=10, c=3)), 5)
    64.48755
    """
    check_alpha(alpha)
    if not v_min > 0:
        raise UsageError("A boundary begins at a time above 0.", given=v_min, accepted="v_min > 0")
    k1, k2 = _constants()
    times = np.maximum(np.asarray(v, dtype=np.float64), v_min)
    log_error = _S * np.log(np.log(_ETA * times / v_min)) + math.log(zeta(_S) / math.log(_ETA) ** _S / alpha)
    tail = k2 * c * log_error
    return np.asarray(np.sqrt(k1**2 * times * log_error + tail**2) + tail)


def distribution_band(t: ArrayLike, *, alpha: float, t_min: float, a: float = 0.85) -> Floats:
    """Half the height of a band that holds the whole distribution function, from ``t_min`` values on and for ever.

    Args:
        t: Independent values so far.
        alpha: Chance that the empirical distribution ever leaves the band.
        t_min: Before it the band is infinite.
        a: Leading constant, above 1 / sqrt(2); smaller is tighter late and wider early.

    >>> round(float(distribution_band(1000.0, alpha=0.05, t_min=100)), 6)
    0.082048
    """
    check_alpha(alpha)
    if not (a > math.sqrt(0.5) and t_min >= 1):
        raise UsageError("A band cannot be drawn.", given=f"a {a}, t_min {t_min}", accepted="a > 0.7072 and t_min >= 1")
    times = np.asarray(t, dtype=np.float64)
    late = np.maximum(times, t_min)
    height = a * np.sqrt((np.log1p(np.log(late / t_min)) + _band_constant(alpha, a)) / late)
    return np.where(times < t_min, math.inf, height)


def quantile_rank_bound(p: float, t: ArrayLike, *, alpha: float, t_opt: float, delta: float = 0.5) -> Floats:
    """By how many ranks the empirical p-quantile may be off, for *every* p and all times together.

    Args:
        p: In (0, 1).
        t: Independent values so far.
        alpha: Chance of error over all p, all times and both directions.
        t_opt: Where the boundary begins to curve.
        delta: Fineness of the grid of quantiles that are stitched.

    >>> round(float(quantile_rank_bound(0.9, 1000.0, alpha=0.05, t_opt=100)), 5)
    43.72119
    """
    check_alpha(alpha)
    if not 0 < p < 1:
        raise UsageError("A quantile is between 0 and 1.", given=p, accepted="(0, 1)")
    k1, k2 = _constants()
    times = np.maximum(np.asarray(t, dtype=np.float64), t_opt)
    logit = math.log(p / (1 - p))
    near = 1 / (1 + np.exp(-logit - 2 * delta * np.sqrt(t_opt * _ETA / times)))
    r = np.minimum(0.5, near) if p < 0.5 else np.full_like(times, p)
    variance = r * (1 - r)
    j = np.sqrt(times / t_opt) * abs(logit) / (2 * delta) + 1
    z = float(zeta(_S))
    log_error = _S * (np.log(np.log(_ETA * times / t_opt)) + np.log(j))
    log_error = log_error + math.log(2 * z * (2 * z + 1) / (alpha * math.log(_ETA) ** _S))
    tail = k2 * (1 - 2 * p) / 3 * log_error
    return np.asarray(
        delta * np.sqrt(_ETA * times * variance / t_opt)
        + np.sqrt(k1**2 * variance * times * log_error + tail**2)
        + tail
    )


def _constants() -> tuple[float, float]:
    return (_ETA**0.25 + _ETA**-0.25) / math.sqrt(2), (math.sqrt(_ETA) + 1) / 2


def _band_constant(alpha: float, a: float) -> float:
    """The smallest constant whose chance of error, over the best size of the pieces, is ``alpha``."""

    def error(eta: float, c: float) -> float:
        gamma_squared = 2 / eta * max(a - math.sqrt(2 * (eta - 1) / c), 0.0) ** 2
        if gamma_squared <= 1:
            return math.inf
        return 4 * math.exp(-gamma_squared * c) * (1 + 1 / ((gamma_squared - 1) * math.log(eta)))

    def least_error(c: float) -> float:
        widest = optimize.brentq(lambda eta: math.sqrt(eta / 2) + math.sqrt(2 * (eta - 1) / c) - a, 1.0, 2 * a * a)
        inside = 1 + (widest - 1) * np.linspace(1e-4, 1 - 1e-4, 201)  # the error is infinite at both ends
        best = int(np.argmin([error(eta, c) for eta in inside.tolist()]))
        around = (inside[max(best - 1, 0)], inside[min(best + 1, 200)])
        found = optimize.minimize_scalar(error, bounds=around, args=(c,), method="bounded", options={"xatol": 1e-10})
        return float(found.fun)

    return float(optimize.brentq(lambda c: math.log(least_error(c) / alpha), 1.0, 200.0, xtol=1e-10))
