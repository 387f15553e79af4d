"""Bounds at any look for means without a known range: right only in the limit, so they wait before they speak.

They rest on the central limit theorem at every look at once. With rare events that limit is far away: at a rate of 1 %
an asymptotic bound that may speak early errs in 62 % of the cases, not in 5 %. So bounds are infinite until 50 values
differ from the most frequent one, and until there are 100 values. For rates ``rates`` and ``badevents`` are exact.

``msprt_log_e`` is the same idea in the form of a test, as several experimentation platforms use it; here it is what
others are compared with, and no verdict of ours rests on it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import lambertw

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, finite

__all__ = ["asymptotic_path", "informative", "msprt_log_e"]

MIN_EVENTS = 50
"""Values other than the most frequent one, before a bound speaks: simulated errors are then below the stated 5 %."""
MIN_VALUES = 100


def asymptotic_path(x: ArrayLike, *, alpha: float, t_opt: float) -> tuple[Floats, Floats, Floats]:
    """The running mean, and bounds that miss it ever with a chance near alpha, each of shape (n,).

    Args:
        x: Independent values (or one per entity), shape (n,), finite.
        alpha: Chance that the bounds ever miss, in the limit.
        t_opt: The number of values at which they are tightest; fix it beforehand.

    Returns:
        Mean, lower, upper; the bounds are infinite where the values so far say too little.

    Examples:
        >>> mean, lower, upper = asymptotic_path([0.0] * 990 + [1.0] * 10, alpha=0.05, t_opt=500)
        >>> float(upper[-1])
        inf

    References:
        Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (AoS 2024), Theorem 2.2.
    """
    check_alpha(alpha)
    values = finite("values", x)
    if not t_opt > 0:
        raise UsageError("The bounds cannot be tuned.", given=f"t_opt {t_opt!r}", accepted="a number above 0")
    t = np.arange(1, values.size + 1)
    mean, deviation = _moments(values, t)
    rho2 = float(-lambertw(-(alpha**2) / math.e, -1).real - 1) / t_opt
    grown = t * rho2 + 1
    reach = deviation * np.sqrt(2 * grown / (t**2 * rho2) * np.log(np.sqrt(grown) / alpha))
    reach = np.where(informative(values), reach, math.inf)
    return mean, mean - reach, mean + reach


def msprt_log_e(x: ArrayLike, *, null_mean: float, tau: float, sd: float | None = None) -> Floats:
    """Log of the mixture sequential probability ratio after each value; a comparator, not a verdict of ours.

    Args:
        x: Values, shape (n,) or (series, n), finite.
        null_mean: The mean under the null.
        tau: Standard deviation of the effect in the mixture.
        sd: Of one value; left out, the one of the values so far, as platforms do.

    References:
        Johari, Koomen, Pekelis & Walsh (2017, 2022).
    """
    values = np.asarray(x, dtype=np.float64)
    t = np.arange(1, values.shape[-1] + 1)
    mean, deviation = _moments(values, t)
    s2 = np.maximum(deviation, 1e-12) ** 2 if sd is None else np.float64(sd**2)
    total = s2 + t * tau**2
    log_e = 0.5 * np.log(s2 / total) + (t * tau * (mean - null_mean)) ** 2 / (2 * s2 * total)
    return np.asarray(np.where(t > 1, log_e, 0.0) if sd is None else log_e)


def informative(values: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Where, along the values, there are enough of them and enough that differ from the most frequent one."""
    t = np.arange(1, values.size + 1)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if values.size else np.empty(0, dtype=np.intp)
    repeats = np.empty(values.size, dtype=np.int64)  # how often each value has occurred, itself included
    repeats[order] = np.arange(values.size) - np.repeat(starts, np.diff(np.r_[starts, values.size])) + 1
    return (t >= MIN_VALUES) & (t - np.maximum.accumulate(repeats) >= MIN_EVENTS)


def _moments(values: Floats, t: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Floats, Floats]:
    """Running mean and standard deviation (n - 1), from values shifted by the first one."""
    first = values[..., :1]
    shifted = values - first
    mean = np.cumsum(shifted, axis=-1) / t
    squares = np.maximum(np.cumsum(shifted**2, axis=-1) - t * mean**2, 0.0)
    return mean + first, np.sqrt(squares / np.maximum(t - 1, 1))
