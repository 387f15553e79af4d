"""When did a mean rise above what is tolerated? Detectors whose false alarms are at least a stated time apart.

Both multiply a factor for each value, above 1 when the value is above what is tolerated. *e-SR* keeps a bet that began
at each time so far, and is quick; *e-CUSUM* keeps the best of them, is slower, and hardly ever wrong early. Both are
averages over several sizes of bets, because the size of the change is not known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats

__all__ = ["BETS", "DetectorPath", "DetectorState", "change_point", "e_cusum", "e_sr", "e_sr_of_counts"]

Side = Literal["greater", "less"]

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
    x: ArrayLike,
    tolerated: float,
    *,
    lower: float = 0.0,
    upper: float = 1.0,
    bets: Sequence[float] = BETS,
    side: Side = "greater",
) -> DetectorPath:
    """Watches a bounded value for a mean above ``tolerated``, for ever, one value at a time.

    An alarm at the first detector value of A or more comes on average after at least A values while each expectation,
    given the past, is at most ``tolerated``; values need not be independent. Daily values and A = 180: at most one
    false alarm in half a year on average. Values beyond the far end of the range count as that end, which only makes it
    quieter.

    Args:
        x: Values in order of time, shape (n,) or (series, n).
        tolerated: The largest mean that is still fine (reference plus tolerance), strictly inside the range.
        lower: Smallest possible value.
        upper: Values above it count as it.
        bets: Bets in (0, 1), in units of 1 / tolerated level; the detector is the average over them.
        side: ``less`` watches for a mean below ``tolerated``; then values below ``lower`` count as it.

    Raises:
        UsageError: a value is beyond the near end of the range or not a number, or ``tolerated`` is not inside it.

    Examples:
        >>> path = e_sr([0.1] * 50 + [0.6] * 20, 0.2)
        >>> path.first_alarm(180)
        57

    References:
        Shin, Ramdas & Rinaldo (NEJSDS 2024), e-detector of the Shiryaev-Roberts kind.
    """
    return _shiryaev_roberts(_factors(x, tolerated, lower, upper, bets, side))


def e_cusum(
    x: ArrayLike,
    tolerated: float,
    *,
    lower: float = 0.0,
    upper: float = 1.0,
    bets: Sequence[float] = BETS,
    side: Side = "greater",
) -> DetectorPath:
    """The same promise as ``e_sr`` with fewer early false alarms and later true ones: where an alarm costs much.

    >>> e_cusum([0.1] * 50 + [0.6] * 20, 0.2).first_alarm(180)
    61

    References:
        Shin, Ramdas & Rinaldo (NEJSDS 2024), e-detector of the CUSUM kind.
    """
    factors = _factors(x, tolerated, lower, upper, bets, side)
    sums = np.cumsum(factors, axis=-1)
    return DetectorPath(log_m=_average(sums - _lowest_before(sums)))


def change_point(
    x: ArrayLike,
    tolerated: float,
    *,
    lower: float = 0.0,
    upper: float = 1.0,
    bets: Sequence[float] = BETS,
    side: Side = "greater",
) -> int:
    """Index of the value with which the mean seems to have left what is tolerated: an estimate, made at the alarm.

    The beginning of the bet that has won most by now.

    Args:
        x: Values in order of time up to the alarm, shape (n,), at least one.
        tolerated: As in ``e_sr``; so are the others.
        lower: Smallest possible value.
        upper: Values above it count as it.
        bets: As in ``e_sr``.
        side: As in ``e_sr``.

    Examples:
        >>> change_point([0.1] * 50 + [0.6] * 20, 0.2)
        50
    """
    factors = _factors(x, tolerated, lower, upper, bets, side)
    if factors.ndim != 2 or factors.shape[-1] == 0:
        raise ShapeMismatch(
            "A change point is of one series.", given=f"shape {factors.shape[1:]}", accepted="(n,), n > 0"
        )
    before = np.concatenate([np.zeros((len(bets), 1)), np.cumsum(factors, axis=-1)], axis=-1)
    winner = int((before[:, -1] - before[:, :-1].min(axis=-1)).argmax())
    lowest = before[winner, :-1]
    return int(lowest.size - 1 - lowest[::-1].argmin())


def e_sr_of_counts(
    events: ArrayLike, trials: ArrayLike, tolerated: ArrayLike, *, bets: Sequence[float] = BETS, side: Side = "greater"
) -> DetectorPath:
    """``e_sr`` on events among trials that are counted in batches; one tick of the detector is one batch.

    Counts of workers are added up first. Batches may have any sizes, also none.

    Args:
        events: Events per batch, shape (batches,) or (streams, batches).
        trials: Trials per batch, broadcast to ``events``.
        tolerated: Largest (``less``: smallest) rate that is fine, in (0, 1); one, or of shape (streams, 1).
        bets: As in ``e_sr``.
        side: ``less`` watches for a rate below ``tolerated``.
    """
    k, n = np.broadcast_arrays(np.asarray(events, dtype=np.float64), np.asarray(trials, dtype=np.float64))
    m = np.asarray(tolerated, dtype=np.float64)
    if k.size and not ((k >= 0) & (k <= n)).all():
        raise UsageError("Events and trials do not fit.", given="a batch with more events than trials, or fewer than 0")
    if not ((m > 0) & (m < 1)).all():
        raise UsageError("A tolerated rate must be a rate.", given=m.tolist(), accepted="numbers in (0, 1)")
    if side == "less":
        k, m = n - k, 1 - m
    share = _bets(bets)[:, *[None] * k.ndim]
    return _shiryaev_roberts(k * np.log1p(share / m * (1 - m)) + (n - k) * np.log1p(-share))


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorState:
    """Both detectors and the change point, in a few numbers per bet: for a stream without an end.

    Examples:
        >>> state = DetectorState(tolerated=0.2)
        >>> for value in [0.1] * 50 + [0.6] * 8:
        ...     state = state.update(value)
        >>> state.log_sr >= math.log(180), state.began
        (True, 50)
    """

    tolerated: float
    lower: float = 0.0
    upper: float = 1.0
    side: Side = "greater"
    n: int = 0
    """Values so far."""
    sr: tuple[float, ...] = field(default=(-math.inf,) * len(BETS))
    """Log of e-SR for each bet."""
    cusum: tuple[float, ...] = field(default=(-math.inf,) * len(BETS))
    """Log of e-CUSUM for each bet."""
    starts: tuple[int, ...] = field(default=(0,) * len(BETS))
    """Where the best product of each bet begins."""

    def update(self, x: float) -> DetectorState:
        """The state after one more value."""
        near, far = (self.lower, self.upper) if self.side == "greater" else (self.upper, self.lower)
        if math.isnan(x) or (x < near if self.side == "greater" else x > near):
            raise UsageError("A value cannot be watched.", given=x, accepted=f"[{self.lower:g}, {self.upper:g}]")
        u = min(abs(x - near) / abs(far - near), 1.0)
        m = abs(self.tolerated - near) / abs(far - near)
        if not 0 < m < 1:
            raise UsageError("The tolerated mean is not inside the range.", given=self.tolerated)
        logs = [math.log1p(bet / m * (u - m)) for bet in BETS]
        sr = tuple(log + _log_1p_exp(before) for log, before in zip(logs, self.sr, strict=True))
        cusum = tuple(log + max(before, 0.0) for log, before in zip(logs, self.cusum, strict=True))
        starts = tuple(start if before > 0 else self.n for start, before in zip(self.starts, self.cusum, strict=True))
        return replace(self, n=self.n + 1, sr=sr, cusum=cusum, starts=starts)

    @property
    def log_sr(self) -> float:
        """Log of e-SR, the average over the bets."""
        return _log_mean(self.sr)

    @property
    def log_cusum(self) -> float:
        """Log of e-CUSUM, the average over the bets."""
        return _log_mean(self.cusum)

    @property
    def began(self) -> int:
        """Index of the value with which the mean seems to have left what is tolerated, if it has."""
        return self.starts[max(range(len(BETS)), key=self.cusum.__getitem__)]


def _shiryaev_roberts(factors: Floats) -> DetectorPath:
    # M_t = L_t (M_{t-1} + 1) is the sum, over starts s <= t, of L_s ... L_t
    sums = np.cumsum(factors, axis=-1)
    return DetectorPath(log_m=_average(sums + np.logaddexp.accumulate(factors - sums, axis=-1)))


def _average(log_m: Floats) -> Floats:
    return np.asarray(logsumexp(log_m, axis=0) - math.log(log_m.shape[0]))


def _lowest_before(sums: Floats) -> Floats:
    """The lowest of 0 and the sums before each one."""
    before = np.zeros_like(sums)
    before[..., 1:] = np.minimum.accumulate(sums, axis=-1)[..., :-1]
    return np.minimum(before, 0.0)


def _factors(x: ArrayLike, tolerated: float, lower: float, upper: float, bets: Sequence[float], side: Side) -> Floats:
    """Log factor of each value for each bet, shape (bets, ..., n)."""
    values = np.asarray(x, dtype=np.float64)
    if not lower < tolerated < upper:
        raise UsageError("The tolerated mean is not inside the range.", given=tolerated, accepted=f"({lower}, {upper})")
    if side == "less":
        values, tolerated, lower, upper = -values, -tolerated, -upper, -lower
    if np.isnan(values).any() or (values.size and values.min() < lower):
        raise UsageError("A value cannot be watched.", given="NaN or a value beyond the range", accepted=f">= {lower}")
    u = (np.minimum(values, upper) - lower) / (upper - lower)
    m = (tolerated - lower) / (upper - lower)
    return np.asarray(np.log1p(_bets(bets)[:, *[None] * u.ndim] / m * (u - m)))


def _bets(bets: Sequence[float]) -> Floats:
    if not bets or min(bets) <= 0 or max(bets) >= 1:
        raise UsageError("A bet is not a share of the capital.", given=tuple(bets), accepted="numbers in (0, 1)")
    return np.asarray(bets, dtype=np.float64)


def _log_1p_exp(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _log_mean(logs: tuple[float, ...]) -> float:
    most = max(logs)
    return most + math.log(sum(math.exp(log - most) for log in logs) / len(logs)) if most > -math.inf else most
