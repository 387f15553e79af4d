"""When did a mean rise above what is tolerated? A detector whose false alarms are at least a stated time apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from kairos.errors import UsageError
from kairos.stats.arrays import Floats

__all__ = ["BETS", "DetectorPath", "e_sr"]

BETS = (0.05, 0.1, 0.2, 0.4)
"""Bets in units of 1 / tolerated level; several, because the size of the change is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorPath:
    """The detector after each value."""

    log_m: Floats
    """Natural logarithm of the detector, shape of the values (time last)."""

    @property
    def last(self) -> float:
        """The logarithm after the last value; ``-inf`` without values."""
        return float(self.log_m[..., -1].max()) if self.log_m.shape[-1] else -math.inf

    def first_alarm(self, threshold: float) -> int | None:
        """Index of the first value at which the detector reaches ``threshold``, or ``None``."""
        if self.log_m.ndim != 1:
            raise UsageError("The first alarm is of one series.", given=f"shape {self.log_m.shape}", accepted="(n,)")
        hits = np.flatnonzero(self.log_m >= math.log(threshold))
        return int(hits[0]) if hits.size else None


def e_sr(
    x: ArrayLike, tolerated: float, *, lower: float = 0.0, upper: float = 1.0, bets: Sequence[float] = BETS
) -> DetectorPath:
    """Watches a bounded value for a mean above ``tolerated``, for ever, one value at a time.

    An alarm at the first detector value of A or more comes on average after at least A values while each expectation,
    given the past, is at most ``tolerated``; values need not be independent. Daily values and A = 180: at most one
    false alarm in half a year on average. Values above ``upper`` count as ``upper``, which only makes it quieter.

    Args:
        x: Values in order of time, shape (n,) or (series, n).
        tolerated: The largest mean that is still fine (reference plus tolerance), strictly inside the range.
        lower: Smallest possible value.
        upper: Values above it count as it.
        bets: Bets in (0, 1), in units of 1 / tolerated level; the detector is the average over them.

    Raises:
        UsageError: a value is below ``lower`` or not a number, or ``tolerated`` is not inside the range.

    Examples:
        >>> path = e_sr([0.1] * 50 + [0.6] * 20, 0.2)
        >>> path.first_alarm(180)
        57

    References:
        Shin, Ramdas & Rinaldo (NEJSDS 2024), e-detector of the Shiryaev-Roberts kind.
    """
    values = np.asarray(x, dtype=np.float64)
    if not lower < tolerated < upper:
        raise UsageError("The tolerated mean is not inside the range.", given=tolerated, accepted=f"({lower}, {upper})")
    if np.isnan(values).any() or (values.size and values.min() < lower):
        raise UsageError("A value cannot be watched.", given="NaN or a value below the range", accepted=f">= {lower}")
    if not bets or min(bets) <= 0 or max(bets) >= 1:
        raise UsageError("A bet is not a share of the capital.", given=tuple(bets), accepted="numbers in (0, 1)")
    u = (np.minimum(values, upper) - lower) / (upper - lower)
    m = (tolerated - lower) / (upper - lower)
    factors = np.log1p(np.asarray(bets)[:, *[None] * u.ndim] / m * (u - m))
    sums = np.cumsum(factors, axis=-1)  # M_t = L_t (M_{t-1} + 1) is the sum, over starts s <= t, of L_s ... L_t
    log_m = logsumexp(sums + np.logaddexp.accumulate(factors - sums, axis=-1), axis=0) - math.log(len(bets))
    return DetectorPath(log_m=log_m)
