"""Who served the bad events? Tests of a canary that need only counts per share, at any number of looks.

The challenger serves each request with a known share pi, drawn by us. If its chance of a bad event (an error, a slow
answer, an impossible value) is r times the champion's on the same request, then among bad events the challenger's share
is ``th_r(pi) = pi r / (pi r + 1 - pi)``. Nothing else is assumed: outages and busy hours hit both arms and cancel. The
state is counts per distinct share, so workers add up and the order of events does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, check_alpha
from kairos.values import Interval

__all__ = ["Counts", "harm_log_e", "harm_log_e_path", "ratio_interval", "safety_log_e", "safety_log_e_path"]

Counts = Mapping[float, tuple[int, int]]
"""Share of the challenger, in (0, 1) -> bad events of the challenger and of the champion while it had that share."""

_HARM = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0])
_SAFETY = np.array([1.25, 1.5, 2.0, 3.0, 5.0])
_GRID = np.geomspace(1 / 32, 32, 81)
_FAR = 1e9


def harm_log_e(counts: Counts, r0: float = 1.0) -> float:
    """Log e-value against "the challenger's bad-event chance is at most ``r0`` times the champion's, always".

    Roll back when it reaches ``ln(1 / alpha)``: however often one looks, a harmless challenger is rolled back with
    chance at most alpha. No bad events give 0.

    Args:
        counts: Bad events per share; count at most one per routing key and window if routing is sticky.
        r0: The largest ratio that is tolerated, above 0.

    Raises:
        UsageError: a share is not in (0, 1), a count is negative, or ``r0`` is not positive.

    Examples:
        >>> round(harm_log_e({0.05: (12, 88)}), 6)
        2.52966

    References:
        Ville (1939); mixtures over alternatives, as Lindon & Malek (2022) for counts of several arms.
    """
    return _mixture(counts, r0, r0 * _HARM)


def harm_log_e_path(shares: ArrayLike, challenger: ArrayLike, champion: ArrayLike, r0: float = 1.0) -> Floats:
    """``harm_log_e`` after each stretch of time, from the bad events in it: for pictures, and for replays.

    Args:
        shares: Of the challenger in each stretch, shape (times,), in (0, 1).
        challenger: Its bad events in each stretch, shape (times,) or (series, times).
        champion: The champion's, of the same shape.
        r0: As in ``harm_log_e``.

    Examples:
        >>> harm_log_e_path([0.05, 0.05], [5, 7], [45, 43]).round(6).tolist()
        [0.25729, 2.52966]
    """
    return _mixture_path(shares, challenger, champion, r0, r0 * _HARM)


def safety_log_e_path(shares: ArrayLike, challenger: ArrayLike, champion: ArrayLike, r_ni: float) -> Floats:
    """``safety_log_e`` after each stretch of time; arguments as for ``harm_log_e_path``."""
    return _mixture_path(shares, challenger, champion, r_ni, r_ni / _SAFETY)


def safety_log_e(counts: Counts, r_ni: float) -> float:
    """Log e-value against "the challenger's bad-event chance is at least ``r_ni`` times the champion's, always".

    At ``ln(1 / alpha)`` the challenger is proven to have been below ``r_ni``, as far as bad events go.

    >>> round(safety_log_e({0.25: (40, 160)}, 1.5), 6)
    7.433804
    """
    return _mixture(counts, r_ni, r_ni / _SAFETY)


def ratio_interval(counts: Counts, alpha: float = 0.05) -> Interval:
    """Estimate and bounds for the ratio r of bad-event chances, valid at all looks together with chance ``1 - alpha``.

    For a steady ratio. Without bad events the bounds are 0 and infinity and the estimate is 1.

    >>> found = ratio_interval({0.05: (12, 88)})
    >>> round(found.lower, 3), round(found.upper, 3)
    (0.825, 6.303)
    """
    check_alpha(alpha)
    shares, bad_challenger, bad_champion = _arrays(counts)
    total = bad_challenger.sum() + bad_champion.sum()

    def log_likelihood(log_r: float) -> float:
        return float(_log_likelihood(shares, bad_challenger, bad_champion, np.exp(log_r)))

    if total == 0:
        return Interval(estimate=1.0, lower=0.0, upper=math.inf, level=1 - alpha, unit="times")
    mixture = _log_mean(_log_likelihood(shares, bad_challenger, bad_champion, _GRID))

    def excess(log_r: float) -> float:
        return mixture - log_likelihood(log_r) - math.log(1 / alpha)

    best = _most_likely(shares, bad_challenger, bad_champion)
    far = math.log(_FAR)
    lower = math.exp(optimize.brentq(excess, -far, best)) if excess(-far) > 0 else 0.0
    upper = math.exp(optimize.brentq(excess, best, far)) if excess(far) > 0 else math.inf
    estimate = 0.0 if bad_challenger.sum() == 0 else math.inf if bad_champion.sum() == 0 else math.exp(best)
    return Interval(estimate=estimate, lower=lower, upper=upper, level=1 - alpha, unit="times")


def _mixture(counts: Counts, null: float, alternatives: Floats) -> float:
    if not (null > 0 and math.isfinite(null)):
        raise UsageError("A ratio of bad-event chances is positive.", given=null, accepted="a finite number above 0")
    shares, a, b = _arrays(counts)
    return _log_mean(_log_likelihood(shares, a, b, alternatives) - _log_likelihood(shares, a, b, np.float64(null)))


def _mixture_path(
    shares: ArrayLike, challenger: ArrayLike, champion: ArrayLike, null: float, alternatives: Floats
) -> Floats:
    if not (null > 0 and math.isfinite(null)):
        raise UsageError("A ratio of bad-event chances is positive.", given=null, accepted="a finite number above 0")
    share, a, b = (np.asarray(each, dtype=np.float64) for each in (shares, challenger, champion))
    if share.ndim != 1 or a.shape != b.shape or a.shape[-1:] != share.shape:
        raise ShapeMismatch(
            "Bad events and shares do not fit.",
            given=f"shapes {share.shape}, {a.shape} and {b.shape}",
            accepted="(times,), and (times,) or (series, times) for both arms",
        )
    if share.size and (share.min() <= 0 or share.max() >= 1 or min(a.min(), b.min()) < 0):
        raise UsageError("Bad events cannot be counted.", accepted="shares in (0, 1) and counts of 0 or more")

    def steps(r: float) -> Floats:
        odds = r * share
        log_mine, log_theirs = np.log(odds / (odds + 1 - share)), np.log((1 - share) / (odds + 1 - share))
        return np.asarray(np.cumsum(a * log_mine + b * log_theirs, axis=-1))

    under_null = steps(null)
    total = np.full_like(under_null, -math.inf)
    for r in alternatives.tolist():
        total = np.logaddexp(total, steps(r) - under_null)
    return total - math.log(alternatives.size)


def _log_mean(logs: Floats) -> float:
    """Logarithm of the mean of numbers given by their logarithms."""
    return float(np.logaddexp.reduce(logs)) - math.log(logs.size)


def _log_likelihood(shares: Floats, bad_challenger: Floats, bad_champion: Floats, r: Floats | np.float64) -> Floats:
    """For each ratio in ``r``: the log likelihood of who served the bad events."""
    odds = np.multiply.outer(r, shares)
    total = odds + 1 - shares
    logs = bad_challenger * np.log(odds / total) + bad_champion * np.log((1 - shares) / total)
    return np.asarray(logs.sum(axis=-1))


def _most_likely(shares: Floats, bad_challenger: Floats, bad_champion: Floats) -> float:
    """Logarithm of the most likely ratio; the likelihood has one peak in it."""

    def slope(log_r: float) -> float:
        odds = shares * math.exp(log_r)
        return float(bad_challenger.sum() - np.sum((bad_challenger + bad_champion) * odds / (odds + 1 - shares)))

    far = math.log(_FAR)
    if slope(far) >= 0:
        return far
    if slope(-far) <= 0:
        return -far
    return float(optimize.brentq(slope, -far, far))


def _arrays(counts: Counts) -> tuple[Floats, Floats, Floats]:
    for share, (challenger, champion) in counts.items():
        if not 0.0 < share < 1.0 or challenger < 0 or champion < 0:
            raise UsageError(
                "Bad events cannot be counted at this share.",
                given=f"share {share!r}: {challenger!r} and {champion!r}",
                accepted="a share strictly between 0 and 1, and counts of 0 or more",
            )
    ordered = sorted(counts.items())
    shares = np.array([share for share, _ in ordered], dtype=np.float64)
    pairs = np.array([pair for _, pair in ordered], dtype=np.float64).reshape(-1, 2)
    return shares, pairs[:, 0], pairs[:, 1]
