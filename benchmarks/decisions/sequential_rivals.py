"""Sequential tests that others use, at a stated error: mSPRT and O'Brien-Fleming with the spending of Lan and DeMets.

Both are given differences, shape (trials, days, rows a day), and look at the end of each day.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.decisions.streams import Floats

__all__ = [
    "NEVER",
    "daily_mann_whitney",
    "msprt",
    "msprt_z",
    "obrien_fleming",
    "obrien_fleming_bounds",
    "threshold",
    "z_test",
]

NEVER = 10**6
_GRID = 1501
_REACH = 8.0


def first_day(fires: NDArray[np.bool_]) -> Floats:
    """The day, counted from 1, at whose end something is so for the first time; ``NEVER`` if it never is."""
    return np.where(fires.any(axis=1), fires.argmax(axis=1) + 1.0, NEVER)


@cache
def obrien_fleming_bounds(looks: int, alpha: float) -> tuple[float, ...]:
    """One-sided limits of the z value at equally spaced looks, which spend ``alpha`` as O'Brien and Fleming would.

    References:
        Lan & DeMets (Biometrika 1983); the recursion over densities is that of Armitage, McPherson & Rowe (1969).
    """
    times = np.arange(1, looks + 1) / looks
    spent = 2 * stats.norm.sf(stats.norm.isf(alpha / 2) / np.sqrt(times))
    grid = np.linspace(-_REACH, _REACH, _GRID)
    width = grid[1] - grid[0]
    step = math.sqrt(1 / looks)
    density = stats.norm.pdf(grid, scale=step)
    kernel = stats.norm.pdf(grid[:, None] - grid[None, :], scale=step) * width
    limits, before = [], 0.0
    for look, target in enumerate(spent):
        if look:
            density = kernel @ density
        above = np.cumsum(density[::-1])[::-1] * width  # mass at or above each point
        cut = int(np.argmax(above <= max(target - before, 1e-300)))
        limits.append(float(grid[cut] / math.sqrt(times[look])))
        before += float(above[cut])
        density = np.where(grid >= grid[cut], 0.0, density)
    return tuple(limits)


def _daily_z(x: Floats) -> Floats:
    """The z value of the mean of all rows up to the end of each day, each row taken as fresh evidence."""
    days, rows = x.shape[1:]
    n = rows * np.arange(1, days + 1)
    mean = x.sum(axis=2).cumsum(axis=1) / n
    variance = np.maximum((x**2).sum(axis=2).cumsum(axis=1) / n - mean**2, 1e-12)
    return np.asarray(mean / np.sqrt(variance / n))


def z_test(x: Floats, *, alpha: float) -> Floats:
    """A one-sided z test at the end of each day, as if there were one look."""
    return first_day(_daily_z(x) > stats.norm.isf(alpha))


def obrien_fleming(x: Floats, *, alpha: float) -> Floats:
    """The group-sequential test, whose looks are planned beforehand: one a day."""
    return first_day(_daily_z(x) > np.array(obrien_fleming_bounds(x.shape[1], alpha)))


def msprt(x: Floats, *, alpha: float, tau: float = 0.1) -> Floats:
    """The mixture sequential probability ratio test of Johari and others, one-sided, with the estimated variance.

    Args:
        x: Differences.
        alpha: Stated error.
        tau: Standard deviation of the mixture, in the unit of the differences' standard deviation.
    """
    n = x.shape[2] * np.arange(1, x.shape[1] + 1)
    return first_day(msprt_z(_daily_z(x), n, tau=tau) > 1 / alpha)


def msprt_z(z: Floats, n: NDArray[np.int64], *, tau: float) -> Floats:
    """Its statistic from z values of ``n`` rows; 0 where the mean is not above the null."""
    shrink = n * tau**2 / (1 + n * tau**2)
    log = -0.5 * np.log1p(n * tau**2) + 0.5 * z**2 * shrink
    return np.where(z > 0, 2 * np.exp(np.minimum(log, 500.0)), 0.0)


def daily_mann_whitney(champion: Floats, challenger: Floats, *, level: float = 0.98) -> Floats:
    """As Kayenta judges one metric: a rank test of a day's values against the other's, each day anew."""
    rows = champion.shape[2]
    both = np.concatenate([champion, challenger], axis=2)
    ranks = both.argsort(axis=2).argsort(axis=2) + 1.0
    u = ranks[:, :, rows:].sum(axis=2) - rows * (rows + 1) / 2
    z = (u - rows * rows / 2) / math.sqrt(rows * rows * (2 * rows + 1) / 12)
    return first_day(z > stats.norm.ppf((1 + level) / 2))


def threshold(champion: Floats, challenger: Floats, *, ratio: float = 1.1, failures: int = 3) -> Floats:
    """A fixed limit: the third day on which the challenger's mean is more than a tenth above the champion's."""
    bad = challenger.mean(axis=2) > ratio * champion.mean(axis=2)
    return first_day(bad.cumsum(axis=1) >= failures)
