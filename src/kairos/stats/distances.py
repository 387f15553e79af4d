"""How far apart are two histograms, and is that more than matters? Six distances, one test."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, two_counts
from kairos.values import Distance, PValue

__all__ = ["DEFAULT_EPS", "DistanceKind", "DistanceTest", "chi2_test", "distance", "distance_test"]

DistanceKind = Literal[
    "jensen_shannon", "hellinger", "total_variation", "l_infinity", "kolmogorov_smirnov", "wasserstein"
]
"""``jensen_shannon``: root of the divergence, natural logarithm, 0 to 0.83. ``hellinger``, ``total_variation``: 0 to 1.
``l_infinity``: the largest difference of one cell's share. ``kolmogorov_smirnov``: the largest difference of the
shares up to a cell, a lower bound of that of the values. ``wasserstein``: how far a row has to be moved on average, in
the unit of the positions."""

DEFAULT_EPS: Mapping[DistanceKind, float] = MappingProxyType(
    {
        "jensen_shannon": 0.10,
        "hellinger": 0.10,
        "total_variation": 0.10,
        "l_infinity": 0.05,
        "kolmogorov_smirnov": 0.10,
        "wasserstein": 0.10,
    }
)
"""The largest distance that does not matter; of ``wasserstein`` in standard deviations of the reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceTest:
    """A distance with bounds and a test against the tolerated one."""

    distance: Distance
    """Of the two counts; biased upwards in small windows."""
    corrected: float
    """Less its bias, as resampling shows it; may be below 0."""
    lower: Distance
    """The true distance is above this with chance ``1 - alpha``."""
    upper: Distance
    """The true distance is below this with chance ``1 - alpha``, or more where rows are few: its bias is in it."""
    p_value: PValue
    """Chance of a distance as large as this if the true one were ``eps``; 1 if it is not even ``eps``."""
    alarm: bool
    """``p_value <= alpha``: the true distance is proven to be above ``eps``."""
    too_small: bool
    """No alarm, and twice ``eps`` is not ruled out either: keep counting; it is not "stable"."""


def distance(
    kind: DistanceKind, reference_counts: ArrayLike, counts: ArrayLike, *, positions: ArrayLike | None = None
) -> Distance:
    """The distance of two histograms over the same cells, 0 or more; 0 if one of them is empty.

    Args:
        kind: Which one.
        reference_counts: Rows per cell of the reference, shape (B,).
        counts: Rows per cell of the window, shape (B,).
        positions: For ``wasserstein``: where a cell's rows are, such as the mean of the reference in it, shape (B,),
            ascending. The others take cells as they come; ``kolmogorov_smirnov`` needs them in order, so leave a cell
            for missing rows out.

    Examples:
        >>> grades, now = [253, 302, 204, 134, 72, 26, 8], [177, 262, 285, 158, 88, 25, 6]
        >>> round(distance("jensen_shannon", grades, now), 6), round(distance("l_infinity", grades, now), 6)
        (0.091793, 0.080511)
    """
    a, b = two_counts(reference_counts, counts)
    if not a.sum() or not b.sum():
        return Distance(0.0)
    return Distance(float(_measure(kind, a.size, positions)(a / a.sum(), b / b.sum())))


def distance_test(
    kind: DistanceKind,
    reference_counts: ArrayLike,
    counts: ArrayLike,
    *,
    eps: float | None = None,
    alpha: float = 0.05,
    positions: ArrayLike | None = None,
    resamples: int = 999,
    seed: int = 0,
) -> DistanceTest:
    """Tests whether a window's distribution is further than ``eps`` away, not whether it is away at all.

    One look at independent rows. The p-value is a bootstrap at the boundary: the window is drawn back towards the
    reference until it is exactly ``eps`` away, both histograms are drawn anew from there (multinomially, so rows cost
    nothing), and distances at least as large as the one found are counted. These distances have a large bias, which is
    thereby in the comparison; a plain percentile bound would alarm in 40 % of windows of 2,000 rows in 20 cells at the
    boundary. ``lower`` reflects the resampled distances at the one found, ``upper`` is their plain quantile.

    Args:
        kind: Which distance.
        reference_counts: Rows per cell of the reference, shape (B,).
        counts: Rows per cell of the window, shape (B,).
        eps: The largest distance that does not matter, above 0; ``None``: ``DEFAULT_EPS``.
        alpha: Chance of a false alarm when the true distance is ``eps``, and of error of each bound, in (0, 1).
        positions: As for ``distance``.
        resamples: Of the bootstrap; no p-value is below 1 / (resamples + 1).
        seed: Of its draws: the same numbers give the same answer.

    Raises:
        ShapeMismatch: the counts are of different cells.
        UsageError: a count is negative, or ``eps`` is not above 0.
    """
    check_alpha(alpha)
    eps = DEFAULT_EPS[kind] if eps is None else eps
    if not eps > 0 or resamples < 1:
        raise UsageError("The tolerated distance is too small.", given=eps, accepted="above 0")
    a, b = two_counts(reference_counts, counts)
    n, m = int(a.sum()), int(b.sum())
    if not n or not m:
        return DistanceTest(
            distance=Distance(0.0),
            corrected=0.0,
            lower=Distance(0.0),
            upper=Distance(math.inf),
            p_value=PValue(1.0),
            alarm=False,
            too_small=True,
        )
    measure = _measure(kind, a.size, positions)
    p, q = a / a.sum(), b / b.sum()
    found = float(measure(p, q))
    rng = np.random.default_rng(seed)
    drawn = _drawn(measure, p, q, n, m, resamples, rng)
    lower, upper = 2 * found - float(np.quantile(drawn, 1 - alpha)), float(np.quantile(drawn, 1 - alpha))
    p_value = 1.0
    if found > eps:
        at = optimize.brentq(lambda part: float(measure(p, p + part * (q - p))) - eps, 0.0, 1.0)
        boundary = _drawn(measure, p, p + at * (q - p), n, m, resamples, rng)
        p_value = float((1 + (boundary >= found).sum()) / (resamples + 1))
    alarm = p_value <= alpha
    return DistanceTest(
        distance=Distance(found),
        corrected=2 * found - float(drawn.mean()),
        lower=Distance(max(0.0, lower)),
        upper=Distance(max(found, upper)),
        p_value=PValue(p_value),
        alarm=alarm,
        too_small=not alarm and upper >= 2 * eps,
    )


def chi2_test(reference_counts: ArrayLike, counts: ArrayLike) -> tuple[float, PValue]:
    """Pearson's statistic and p-value for "no change at all": for small windows, where any change is worth a look.

    Cells that are empty on both sides are left out. With an expected count below 5 the p-value is rough.

    Examples:
        >>> statistic, p = chi2_test([253, 302, 204, 134, 72, 26, 8], [177, 262, 285, 158, 88, 25, 6])
        >>> round(statistic, 4), f"{p:.5e}"
        (33.5626, '8.17048e-06')
    """
    a, b = two_counts(reference_counts, counts)
    table = np.stack([a, b])[:, (a > 0) | (b > 0)]
    if not a.sum() or not b.sum() or table.shape[1] < 2:
        return 0.0, PValue(1.0)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, PValue(float(special.chdtrc(table.shape[1] - 1, statistic)))


def _drawn(
    measure: Callable[[Floats, Floats], Floats],
    p: Floats,
    q: Floats,
    n: int,
    m: int,
    resamples: int,
    rng: np.random.Generator,
) -> Floats:
    """Distances of histograms drawn anew, shape (resamples,)."""
    return measure(rng.multinomial(n, p / p.sum(), resamples) / n, rng.multinomial(m, q / q.sum(), resamples) / m)


def _measure(kind: DistanceKind, cells: int, positions: ArrayLike | None) -> Callable[[Floats, Floats], Floats]:
    """The distance as a function of shares, shape (..., cells); it grows evenly on the straight way between two."""
    if kind == "wasserstein":
        if positions is None:
            raise UsageError("A distance of moved rows needs to know where the cells are.", accepted="positions")
        at = np.asarray(positions, dtype=np.float64)
        if at.shape != (cells,) or not np.isfinite(at).all() or (np.diff(at) < 0).any():
            raise UsageError(
                "Positions do not fit the cells.", given=f"shape {at.shape}", accepted="one each, ascending"
            )
        gaps = np.diff(at)
        return lambda p, q: np.asarray(np.abs(np.cumsum(p - q, axis=-1)[..., :-1]) @ gaps)
    return _MEASURES[kind]


def _jensen_shannon(p: Floats, q: Floats) -> Floats:
    middle = (p + q) / 2
    divergence = special.rel_entr(p, middle).sum(axis=-1) + special.rel_entr(q, middle).sum(axis=-1)
    return np.asarray(np.sqrt(np.maximum(divergence / 2, 0.0)))


def _hellinger(p: Floats, q: Floats) -> Floats:
    return np.asarray(np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum(axis=-1) / 2))


_MEASURES: Mapping[str, Callable[[Floats, Floats], Floats]] = MappingProxyType(
    {
        "jensen_shannon": _jensen_shannon,
        "hellinger": _hellinger,
        "total_variation": lambda p, q: np.asarray(np.abs(p - q).sum(axis=-1) / 2),
        "l_infinity": lambda p, q: np.asarray(np.abs(p - q).max(axis=-1)),
        "kolmogorov_smirnov": lambda p, q: np.asarray(np.abs(np.cumsum(p - q, axis=-1)).max(axis=-1)),
    }
)
