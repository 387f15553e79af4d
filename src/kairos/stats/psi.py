"""Did a distribution move by more than matters? A minimum-effect test on the population stability index."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, two_counts
from kairos.values import Distance, PValue

__all__ = ["PsiTest", "psi", "psi_test"]

_ROWS_PER_CELL = 15
"""Below it, simulated false alarms at the boundary exceed 0.07 at a nominal 0.05 (0.08 to 0.10 with 10 rows a cell)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PsiTest:
    """A population stability index with bounds and a test against the tolerated size."""

    psi: Distance
    """The index of the two counts; biased upwards in small windows."""
    corrected: float
    """``psi`` less its bias ``(cells - 1) / N``; may be below 0."""
    lower: Distance
    """The true index is above this with chance ``1 - alpha``."""
    upper: Distance
    """The true index is below this with chance ``1 - alpha``."""
    p_value: PValue
    """Chance of an index as large as this if the true one were ``eps``."""
    alarm: bool
    """``p_value <= alpha`` on enough rows (15 a cell): the true index is proven to be above ``eps``."""
    too_small: bool
    """No alarm, and too few rows to see a change of ``2 eps`` with 80 % power: keep counting; it is not "stable"."""
    needed_rows: int | None
    """Rows of the window that see a change of ``2 eps``; ``None`` if the reference is too small for any window."""


def psi(reference_counts: ArrayLike, counts: ArrayLike) -> Distance:
    """The population stability index of two count vectors, ``sum((a - b) ln(a / b))``, natural logarithm, 0 or more.

    Cells empty on both sides are left out; where a cell is empty on one side, 0.5 is added to every cell of both.

    >>> round(psi([253, 302, 204, 134, 72, 26, 8], [177, 262, 285, 158, 88, 25, 6]), 6)
    0.067693
    """
    return _psi(*two_counts(reference_counts, counts))


def psi_test(reference_counts: ArrayLike, counts: ArrayLike, *, eps: float = 0.10, alpha: float = 0.05) -> PsiTest:
    """Tests whether a window's distribution moved by more than ``eps``, not whether it moved at all.

    One look at independent rows. With B cells and ``N = n m / (n + m)``, ``PSI * N`` is close to a non-central
    chi-squared with B - 1 degrees of freedom and non-centrality ``N * true PSI``; bounds invert that distribution. How
    close depends on the shape of the change: where small cells shrank, the index is more biased and spread than that,
    and would alarm up to twice as often as stated. So before the p-value is read off, the index is made smaller by what
    the delta method says of bias and spread for this shape at the tolerated size.

    Args:
        reference_counts: Counts of the reference per cell, shape (B,).
        counts: Counts of the window in the same cells, shape (B,).
        eps: The largest index that does not matter, 0 or more (0.10: worth a warning, 0.25: an alarm).
        alpha: Chance of a false alarm when the true index is ``eps``, and of error of each bound, in (0, 1).

    Raises:
        ShapeMismatch: the counts are of different bins.
        UsageError: a count is negative.

    References:
        Yurdakul & Naranjo (2020) for the distribution without change.
    """
    check_alpha(alpha)
    if not eps >= 0.0:
        raise UsageError("The tolerated index is negative.", given=eps, accepted="0 or more")
    reference, window = two_counts(reference_counts, counts)
    n, m = float(reference.sum()), float(window.sum())
    df = max(int(((reference > 0) | (window > 0)).sum()) - 1, 1)
    needed = _needed_rows(n, df, eps, alpha)
    if n == 0 or m == 0:
        return PsiTest(
            psi=Distance(0.0),
            corrected=0.0,
            lower=Distance(0.0),
            upper=Distance(math.inf),
            p_value=PValue(1.0),
            alarm=False,
            too_small=True,
            needed_rows=needed,
        )
    size = n * m / (n + m)
    found = _psi(reference, window)
    p_value = _upper_tail(_put_right(reference, window, found, eps), df, size * eps)
    alarm = p_value <= alpha and m >= _ROWS_PER_CELL * (df + 1)
    return PsiTest(
        psi=found,
        corrected=found - df / size,
        lower=Distance(_noncentrality(found * size, df, alpha) / size),
        upper=Distance(_noncentrality(found * size, df, 1 - alpha) / size),
        p_value=PValue(p_value),
        alarm=alarm,
        too_small=not alarm and (needed is None or m < needed),
        needed_rows=needed,
    )


def _psi(reference: Floats, window: Floats) -> Distance:
    kept = (reference > 0) | (window > 0)
    a, b = reference[kept], window[kept]
    if a.size == 0 or not a.sum() or not b.sum():
        return Distance(0.0)
    if (a == 0).any() or (b == 0).any():
        a, b = a + 0.5, b + 0.5
    a, b = a / a.sum(), b / b.sum()
    return Distance(max(0.0, float(np.sum((b - a) * np.log(b / a)))))


def _put_right(reference: Floats, window: Floats, found: float, eps: float) -> float:
    """``PSI * N`` less its bias beyond B - 1, and nearer to its mean where it is more spread than chi-squared.

    Bias and spread are those of the second-order delta method at the shares on the way from the reference to the window
    (geometric means of both) whose index is ``eps``.
    """
    n, m = float(reference.sum()), float(window.sum())
    size = n * m / (n + m)
    kept = (reference > 0) | (window > 0)
    df = max(int(kept.sum()) - 1, 1)
    a, b = ((each[kept] + 0.5) / (each[kept] + 0.5).sum() for each in (reference, window))
    if eps == 0.0 or found <= eps:
        return found * size
    log_a, towards = np.log(a), np.log(b / a)

    def at(part: float) -> Floats:
        weights = np.exp(log_a + part * towards)
        return np.asarray(weights / weights.sum())

    def excess(part: float) -> float:
        b = at(part)
        return float(((b - a) * np.log(b / a)).sum()) - eps

    b = at(float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-6))) if excess(1.0) > 0 else b
    bias = float(((1 + a / b) * (1 - b)).sum() / m + ((1 + b / a) * (1 - a)).sum() / n) * size / 2
    by_window, by_reference = np.log(b / a) + 1 - a / b, np.log(a / b) + 1 - b / a
    slopes = (b @ by_window**2 - (b @ by_window) ** 2) / m + (a @ by_reference**2 - (a @ by_reference) ** 2) / n
    spread = size**2 * float(slopes) + 2 * max(bias, df) ** 2 / df
    mean = df + size * eps
    above = found * size - max(bias - df, 0.0) - mean
    return mean + above * min(1.0, math.sqrt(2 * (df + 2 * size * eps) / spread)) if above > 0 else mean + above


def _upper_tail(statistic: float, df: int, nc: float) -> float:
    """Chance of a larger value, to about 1e-16; ``scipy.stats`` gives the same at a thousand times the cost."""
    if nc <= 0:
        return float(special.chdtrc(df, statistic))
    return max(0.0, 1.0 - float(special.chndtr(statistic, df, nc)))


def _noncentrality(statistic: float, df: int, tail: float) -> float:
    """The non-centrality under which a value this large has chance ``tail``; 0 if even none is too much."""

    def excess(nc: float) -> float:
        return _upper_tail(statistic, df, nc) - tail

    if excess(0.0) >= 0.0:
        return 0.0
    high = statistic + 10.0
    while excess(high) < 0.0:
        high *= 2.0
    return float(optimize.brentq(excess, 0.0, high, xtol=1e-9))


def _needed_rows(reference_rows: float, df: int, eps: float, alpha: float) -> int | None:
    if eps == 0.0:
        return 1
    size = _needed_size(df, eps, alpha)
    return math.ceil(reference_rows * size / (reference_rows - size)) if reference_rows > size else None


@lru_cache(maxsize=1024)
def _needed_size(df: int, eps: float, alpha: float, power: float = 0.8) -> float:
    """``n m / (n + m)`` that sees an index of ``2 eps``."""

    def shortfall(size: float) -> float:
        critical = float(special.chndtrix(1 - alpha, df, size * eps))
        return power - _upper_tail(critical, df, size * 2 * eps)

    low, high = 1.0, 2.0
    while shortfall(high) > 0.0:
        low, high = high, high * 2.0
    return float(optimize.brentq(shortfall, low, high, xtol=0.01)) if shortfall(low) > 0.0 else low
