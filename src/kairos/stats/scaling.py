"""What do more workers bring? The universal scalability law, fitted to measured throughput.

``X(N) = g N / (1 + s (N - 1) + k N (N - 1))``: ``g`` is what one worker does alone, ``s`` the part that cannot be done
at once (they queue for something), ``k`` the price of keeping each other informed, which makes more workers do less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, pair
from kairos.values import Interval

__all__ = ["Scaling", "fit_scaling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """A fitted law; its draws say how sure it is."""

    alone_per_s: float
    """Throughput of one worker, above 0."""
    contention: float
    """``s``, 0 or more: 0.05 means that a twentieth of the work is done one after the other."""
    crosstalk: float
    """``k``, 0 or more: above 0 there is a number of workers that is best."""
    draws: Floats
    """``alone_per_s``, ``contention``, ``crosstalk`` of each resample, shape (resamples, 3)."""
    alpha: float
    """The intervals leave this out, half of it on each side."""
    most_measured: int
    """The largest number of workers that was measured; beyond it the law is a guess."""

    @property
    def best(self) -> float:
        """The number of workers beyond which throughput falls, 1 or more; infinite without crosstalk."""
        return _best(self.contention, self.crosstalk)

    def slowdown(self, workers: float) -> float:
        """How many times longer a request takes a worker when ``workers`` are at it, 1 or more."""
        return 1.0 + self.contention * (workers - 1) + self.crosstalk * workers * (workers - 1)

    def throughput(self, workers: float) -> Interval:
        """Requests per second of ``workers`` together, with its interval."""
        g, s, k = self.draws.T
        drawn = g * workers / (1 + s * (workers - 1) + k * workers * (workers - 1))
        lower, upper = np.quantile(drawn, [self.alpha / 2, 1 - self.alpha / 2])
        estimate = self.alone_per_s * workers / self.slowdown(workers)
        return Interval(
            estimate=estimate,
            lower=min(float(lower), estimate),
            upper=max(float(upper), estimate),
            level=1 - self.alpha,
            unit="requests/s",
        )


def fit_scaling(
    workers: ArrayLike, throughput_per_s: ArrayLike, *, alpha: float = 0.10, resamples: int = 1000, seed: int = 0
) -> Scaling:
    """Fits the law by least squares of ``N / X(N)`` on ``1, N - 1, N (N - 1)``, no coefficient below 0.

    The draws repeat the fit on what it left unexplained, put back in other places (residual bootstrap, relative to the
    fitted time, since slow points scatter more). Assumes measurements in the steady state under full load.

    Args:
        workers: Number of workers of each measurement, shape (n,), 1 or more; at least three different ones.
        throughput_per_s: Requests per second then, shape (n,), above 0.
        alpha: Chance that an interval misses.
        resamples: Of the bootstrap.
        seed: Of its draws: the same numbers give the same answer.

    Raises:
        ShapeMismatch: the two are not paired.
        UsageError: fewer than three different numbers of workers, or a value out of range.

    Examples:
        >>> n = np.array([1, 2, 4, 8, 16, 32])
        >>> found = fit_scaling(n, 100 * n / (1 + 0.05 * (n - 1) + 0.001 * n * (n - 1)))
        >>> round(found.alone_per_s), round(found.contention, 3), round(found.crosstalk, 4), round(found.best)
        (100, 0.05, 0.001, 31)

    References:
        Gunther (2007), Guerrilla Capacity Planning, chapter 4.
    """
    check_alpha(alpha)
    n, x = pair("workers", workers, "throughput", throughput_per_s)
    if np.unique(n).size < 3 or n.min() < 1 or x.min() <= 0 or resamples < 1:
        raise UsageError(
            "The scalability law cannot be fitted.",
            given=f"{np.unique(n).size} different numbers of workers",
            accepted="three or more, each 1 or more, with a throughput above 0",
            hint="Measure one, two and all workers, some times each.",
        )
    time = n / x  # seconds that one worker spends on one request
    design = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1)
    fit = _solve(design, time)
    fitted = design @ fit
    bent = np.einsum("ij,ji->i", design, np.linalg.pinv(design))  # how far each point bends the law towards itself
    left = (time / fitted - 1) / np.sqrt(np.maximum(1 - bent, 0.05))
    left -= left.mean()
    picks = np.random.default_rng(seed).integers(n.size, size=(resamples, n.size))
    draws = np.array([_law(_solve(design, fitted * (1 + left[pick]))) for pick in picks])
    g, s, k = _law(fit)
    return Scaling(alone_per_s=g, contention=s, crosstalk=k, draws=draws, alpha=alpha, most_measured=int(n.max()))


def _solve(design: Floats, time: Floats) -> Floats:
    """Least squares with no coefficient below 0."""
    scale = np.linalg.norm(design, axis=0)
    return np.asarray(optimize.nnls(design / scale, time)[0] / scale)


def _law(fit: Floats) -> tuple[float, float, float]:
    base = max(float(fit[0]), 1e-300)
    return 1 / base, float(fit[1]) / base, float(fit[2]) / base


def _best(contention: float, crosstalk: float) -> float:
    return max(1.0, math.sqrt(max(1 - contention, 0.0) / crosstalk)) if crosstalk > 0 else math.inf
