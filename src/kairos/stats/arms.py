"""Which of two arms brings more, while their shares change? A mean difference from sums, at any number of looks.

Each unit (a request, or all requests of one entity) goes to the challenger with a known share ``p``, drawn by us, and
brings ``y``, which is 0 for most. A unit's part in the difference is ``y (A - p)``, with ``A = 1`` if the challenger
served it; given the past its expectation is ``p (1 - p)`` times the difference of the two means. So within a step of a
ramp this is inverse-propensity weighting, and steps weigh by ``p (1 - p)`` times their requests. Those are the weights
with which no unit counts more than what it brought: at a share of 1 % the usual ones would let one request of the
challenger count a hundredfold. The two arms are compared within each step only, so a day on which both bring more does
no harm, however the shares changed on it.

The state is counts, sums and sums of squares by share: workers add up, and the order does not matter.

*With a range* the bounds are right at every number of values (gamma-exponential mixture, as in ``sequence``). *Without
one* they rest on the central limit theorem. There the usual estimate of the spread errs: as long as the challenger has
served few, it lacks the rare great values, so mean and spread are both too low, and "it brings less" is claimed in up
to 20 % of the harmless cases instead of 5 %. So the spread is the largest of three: of the values as they are; ``p (1 -
p)`` times all squares of both, which it is where the arms are alike; and that of an arm whose values vary as much, for
their size, as those of the other. And nothing is said before 50 values and 100 requests of each arm, where great
values count for fewer: so many values as, all of one size, would vary as little.

References:
    Howard, Ramdas, McAuliffe & Sekhon (AoS 2021), Theorem 4; Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (AoS 2024);
    Li, Morgan & Zaslavsky (JASA 2018) for the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, check_alpha
from kairos.stats.boundaries import Mixture, NormalMixture, bound
from kairos.stats.sequence import gamma_exponential_log_e
from kairos.values import Interval

__all__ = ["ArmValues", "ArmValuesPath", "arms_interval", "arms_log_e", "arms_log_e_path"]

Side = Literal["greater", "less"]

MIN_EVENTS = 50
"""Values of each arm before bounds without a range speak."""
MIN_REQUESTS = 100
"""Requests of each arm before they do."""

_TUNED_ALPHA = 0.05
_TUNED_EVENTS = 1000
"""So many values make bounds without a range tightest."""
_TUNED_TIME = 10.0
"""So much spread, in squares of the range, makes bounds with a range tightest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmValues:
    """What both arms brought while the challenger had one share; always the challenger's first, then the champion's."""

    requests: tuple[int, int] = (0, 0)
    events: tuple[int, int] = (0, 0)
    """Units that brought something; of an entity one at most."""
    totals: tuple[float, float] = (0.0, 0.0)
    """Sum of what they brought."""
    sizes: tuple[float, float] = (0.0, 0.0)
    """Sum of it without signs; the same where nothing is negative."""
    squares: tuple[float, float] = (0.0, 0.0)
    """Sum of its squares."""


Steps = Mapping[float, ArmValues]
"""Share of the challenger, in (0, 1) -> what both arms brought while it had that share."""


def arms_log_e(steps: Steps, *, null: float, side: Side, reach: float | None) -> float:
    """Log e-value for "the challenger's mean less the champion's is ``side`` than ``null``", at any number of looks.

    The means are of a request, over all steps so far, as weighted above; they may move. It is proven at
    ``ln(1 / alpha)``. Without anything, or while it has to be silent, 0.

    Args:
        steps: What was counted.
        null: In the unit of the values.
        side: Which direction is evidence.
        reach: Length of the range in which each value lies, which holds 0; ``None``: it has none.

    Examples:
        >>> sums = {"totals": (40.0, 80.0), "sizes": (40.0, 80.0), "squares": (20.0, 80.0)}
        >>> both = ArmValues(requests=(1000, 1000), events=(80, 80), **sums)
        >>> round(arms_log_e({0.5: both}, null=0.0, side="less", reach=1.0), 2)
        4.13

    Raises:
        UsageError: a share is not in (0, 1), or ``reach`` is not above 0.
    """
    return float(_log_e(_of_steps(steps), null, side, reach))


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmValuesPath:
    """What each stretch of time brought, of many series at once; arrays of shape (times,) or (series, times)."""

    requests: tuple[ArrayLike, ArrayLike]
    events: tuple[ArrayLike, ArrayLike]
    totals: tuple[ArrayLike, ArrayLike]
    sizes: tuple[ArrayLike, ArrayLike]
    squares: tuple[ArrayLike, ArrayLike]


def arms_log_e_path(
    shares: ArrayLike, values: ArmValuesPath, *, null: ArrayLike, side: Side, reach: float | None
) -> Floats:
    """``arms_log_e`` after each stretch of time; ``shares`` has shape (times,), and so may ``null``."""
    share = np.asarray(shares, dtype=np.float64)
    kinds = (values.requests, values.events, values.totals, values.sizes, values.squares)
    parts = [np.asarray(arm, dtype=np.float64) for kind in kinds for arm in kind]
    if share.ndim != 1 or parts[0].shape[-1:] != share.shape or any(part.shape != parts[0].shape for part in parts):
        raise ShapeMismatch("Values and shares do not fit.", given=f"{share.shape}, {[part.shape for part in parts]}")
    sums = _Sums(*(np.cumsum(each, axis=-1) for each in _added(share, np.stack(parts))))
    return _log_e(sums, np.asarray(null, dtype=np.float64), side, reach)


def arms_interval(steps: Steps, *, reach: float | None, alpha: float) -> Interval:
    """The challenger's mean less the champion's, a request, with bounds that hold at all looks with chance 1 - alpha.

    Each bound alone errs with chance at most ``alpha / 2``. Without anything, or while it has to be silent, they are as
    wide as can be.

    Args:
        steps: What was counted.
        reach: As in ``arms_log_e``.
        alpha: Chance that the bounds ever miss.

    Examples:
        >>> sums = {"totals": (40.0, 80.0), "sizes": (40.0, 80.0), "squares": (20.0, 80.0)}
        >>> both = ArmValues(requests=(1000, 1000), events=(80, 80), **sums)
        >>> found = arms_interval({0.5: both}, reach=1.0, alpha=0.05)
        >>> round(found.lower, 3), round(found.estimate, 3), round(found.upper, 3)
        (-0.078, -0.04, -0.002)
    """
    sums, most = _of_steps(steps), math.inf if reach is None else reach
    found = Interval(estimate=math.nan, lower=-most, upper=most, level=1 - check_alpha(alpha), unit="")
    if not sums.exposure > 0:
        return found
    estimate = float(sums.total / sums.exposure)
    mixture, time, unit, speaks = _mixture(sums, reach)
    if not speaks:
        return Interval(estimate=estimate, lower=-most, upper=most, level=1 - alpha, unit="")
    strays = float(bound(mixture, time, alpha / 2) * unit / sums.exposure)
    return Interval(
        estimate=estimate,
        lower=max(-most, estimate - strays),
        upper=min(most, estimate + strays),
        level=1 - alpha,
        unit="",
    )


class _Sums(NamedTuple):
    """Of all steps so far, each of one shape; of what both arms have, the challenger's first, shape (2, ...)."""

    total: Floats
    """Sum of ``y (A - p)``."""
    exposure: Floats
    """Sum of ``p (1 - p)`` over requests: what a difference of 1 adds to the total."""
    times: Floats
    """Sum of ``(y (A - p))^2``, by arm."""
    alike: Floats
    """Sum of ``y^2 p (1 - p)``: what all of it is, if the arms are alike."""
    requests: Floats
    events: Floats
    sizes: Floats
    squares: Floats

    @property
    def time(self) -> Floats:
        """Of both arms."""
        return np.asarray(self.times.sum(axis=0))


@dataclass(frozen=True, slots=True)
class _WithRange:
    """The gamma-exponential mixture on the scale where the range has length 1."""

    def log_e(self, s: ArrayLike, v: ArrayLike) -> Floats:
        return gamma_exponential_log_e(np.maximum(s, 0.0), v, c=1.0, v_opt=_TUNED_TIME, alpha=_TUNED_ALPHA)

    def furthest(self, v: Floats) -> Floats:
        return np.full_like(v, math.inf)


_WITH_RANGE = _WithRange()
_WITHOUT = NormalMixture(v_opt=_TUNED_EVENTS, sides=1, alpha=_TUNED_ALPHA)


def _log_e(sums: _Sums, null: Floats | float, side: Side, reach: float | None) -> Floats:
    strays = sums.total - null * sums.exposure
    mixture, time, unit, speaks = _mixture(sums, reach)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = mixture.log_e((strays if side == "greater" else -strays) / unit, time)
    return np.where(speaks, found, 0.0)


class _Measure(NamedTuple):
    """By what it is judged how far a total strays."""

    mixture: Mixture
    time: Floats
    unit: Floats | float
    """What the mixture takes for 1."""
    speaks: NDArray[np.bool_]
    """Whether it may be judged at all."""


def _mixture(sums: _Sums, reach: float | None) -> _Measure:
    if reach is not None:
        if not 0 < reach < math.inf:
            raise UsageError("A range of values has no length.", given=reach, accepted="a number above 0, or None")
        return _Measure(_WITH_RANGE, sums.time / reach**2, reach, sums.time > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # mean square over squared mean size, by arm: 1 if all values are of one size; NaN without values
        varies = sums.squares * sums.events / sums.sizes**2
        spread = np.maximum((sums.times * np.fmax(varies[::-1] / varies, 1.0)).sum(axis=0), sums.alike)
        as_many = sums.events / varies.max(axis=0)  # NaN, and so not enough, until both arms have values
    events = sums.events.sum(axis=0)
    speaks = ((as_many >= MIN_EVENTS - 1e-6) & (sums.requests >= MIN_REQUESTS)).all(axis=0)
    return _Measure(_WITHOUT, events, np.sqrt(spread / np.maximum(events, 1.0)), speaks & (sums.time > 0))


def _of_steps(steps: Steps) -> _Sums:
    """As ``_added``, one step after the other: for a few of them numbers are quicker than arrays."""
    total = exposure = alike = 0.0
    times, both = [0.0, 0.0], [[0.0, 0.0] for _ in range(4)]
    for share, each in sorted(steps.items()):
        if not 0 < share < 1:
            raise UsageError("Arms are compared while both have a share.", given=share, accepted="between 0 and 1")
        rest = 1 - share
        total += rest * each.totals[0] - share * each.totals[1]
        exposure += share * rest * (each.requests[0] + each.requests[1])
        alike += share * rest * (each.squares[0] + each.squares[1])
        times[0] += rest**2 * each.squares[0]
        times[1] += share**2 * each.squares[1]
        for kept, pair in zip(both, (each.requests, each.events, each.sizes, each.squares), strict=True):
            kept[0] += pair[0]
            kept[1] += pair[1]
    numbers = (np.asarray(number) for number in (total, exposure, times, alike, *both))
    return _Sums(*numbers)


def _added(share: Floats, parts: Floats) -> tuple[Floats, ...]:
    """What each step adds to the sums; ``parts`` are requests, events, totals, sizes and squares, by arm."""
    requests, events, totals, sizes, squares = (parts[place : place + 2] for place in range(0, 10, 2))
    rest = 1 - share
    weight = np.stack([rest, share]).reshape(2, *[1] * (parts.ndim - 2), share.size)
    return (
        rest * totals[0] - share * totals[1],
        share * rest * requests.sum(axis=0),
        weight**2 * squares,
        share * rest * squares.sum(axis=0),
        requests,
        events,
        sizes,
        squares,
    )
