"""How often, and by how much, promises at one look are broken: an index, estimates, queues, noise; simulated."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random
from typing import NamedTuple

import numpy as np
from scipy import stats as distributions
from scipy.optimize import brentq

from benchmarks.decisions.streams import Floats
from kairos.stats.confidence import expected_confusion
from kairos.stats.noise import discrete_laplace, noisy_counts
from kairos.stats.psi import psi_test

__all__ = [
    "QUEUES",
    "SHAPES",
    "Errors",
    "Waits",
    "index_alarms",
    "most_favoured",
    "noise_p_value",
    "shifted_scores",
    "unseen_errors",
    "waits_in_queues",
]

_EVEN, _UNEVEN = np.full(10, 0.1), np.repeat([0.0182, 0.0818], 10)

SHAPES = {
    "slope": (_EVEN, np.linspace(-1, 1, 10)),
    "one cell": (_EVEN, np.eye(10)[0]),
    "two humps": (_EVEN, np.cos(np.arange(10) * 4 * np.pi / 9)),
    "small cells shrink": (_UNEVEN, np.linspace(-1, 1, 20)),
}
"""Shares of cells, and in which direction they move."""

QUEUES = {"exponential": 1.0, "constant": 0.0, "two phases": 7.48}
"""Kind of service times -> squared coefficient of variation."""

SERVERS, RATE = 4, 3.2
_CUSTOMERS, _WARM_UP, _AT_ONCE = 4000, 1000, 600


def index_alarms(shape: str, rows: int, size: float, runs: int) -> float:
    """The share of windows with an alarm, when the true stability index is exactly ``size`` and 0.10 is tolerated."""
    rng, (base, towards) = np.random.default_rng(11), SHAPES[shape]

    def shares(strength: float) -> Floats:
        weights = base * np.exp(strength * towards)
        return np.asarray(weights / weights.sum())

    def excess(strength: float) -> float:
        return float(((shares(strength) - base) * np.log(shares(strength) / base)).sum()) - size

    there = shares(brentq(excess, 0.0, 5.0))
    tests = (psi_test(rng.multinomial(20_000, base), rng.multinomial(rows, there)).alarm for _ in range(runs))
    return float(np.mean(list(tests)))


class Errors(NamedTuple):
    """By how much what was expected exceeds what came, shape (runs,) each."""

    accuracy: Floats
    precision: Floats
    f1: Floats


def shifted_scores(rng: np.random.Generator, runs: int, rows: int) -> tuple[Floats, Floats]:
    """Calibrated scores of rows whose inputs have shifted, and whether they turned out positive."""
    scores = rng.beta(2, 5, size=(runs, rows))
    return scores, (rng.random((runs, rows)) < scores).astype(np.float64)


def unseen_errors(runs: int) -> Errors:
    """Of estimates from scores of 500 rows that are lower than they were and still calibrated."""
    scores, truth = shifted_scores(np.random.default_rng(15), runs, 500)
    found: list[tuple[float, ...]] = []
    for score, label in zip(scores, truth, strict=True):
        served = (score >= 0.5).astype(np.float64)
        expected, realised = expected_confusion(score, served), expected_confusion(label, served)
        found.append(tuple(getattr(expected, name) - getattr(realised, name) for name in Errors._fields))
    return Errors(*np.array(found).T)


class Waits(NamedTuple):
    """Of requests to four workers, in seconds, in each simulated queue."""

    mean: Floats
    """Shape (runs,)."""
    p_wait: Floats
    """Share of requests that waited at all, shape (runs,)."""
    p99: float
    """The 99 % quantile of all."""


def waits_in_queues(kind: str, runs: int) -> Waits:
    """Queues at a load of 3.2, mean service 1 s, by the recursion of Kiefer and Wolfowitz (1955).

    Each request goes to the worker that is free first; the first thousand of each queue are left out.
    """
    rng, parts = np.random.default_rng(1), []
    for begun in range(0, runs, _AT_ONCE):
        size = (_CUSTOMERS, min(_AT_ONCE, runs - begun))
        parts.append(_waits(_service(kind, rng, size), rng.exponential(1 / RATE, size)))
    waits = np.concatenate(parts, axis=1)
    return Waits(waits.mean(axis=0), (waits > 0).mean(axis=0), float(np.quantile(waits, 0.99)))


def _service(kind: str, rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    if kind == "exponential":
        return rng.exponential(1.0, size)
    if kind == "constant":
        return np.ones(size)
    cv2 = QUEUES[kind]  # mostly short, sometimes long: mean 1
    p = (1 + math.sqrt((cv2 - 1) / (cv2 + 1))) / 2
    scale = np.where(rng.uniform(size=size) < p, 1 / (2 * p), 1 / (2 * (1 - p)))
    return np.asarray(scale * rng.exponential(1.0, size))


def _waits(service: Floats, gaps: Floats) -> Floats:
    """Waits after the warm-up, shape (customers, runs); the workloads of the workers are kept in ascending order."""
    load = np.zeros((service.shape[1], SERVERS))
    waits = np.empty((_CUSTOMERS - _WARM_UP, service.shape[1]), dtype=np.float32)
    for i in range(_CUSTOMERS):
        if i >= _WARM_UP:
            waits[i - _WARM_UP] = load[:, 0]
        load[:, 0] += service[i]
        load = np.sort(np.maximum(load - gaps[i][:, None], 0.0), axis=1)
    return waits.astype(np.float64)


def noise_p_value(scale: str, draws: int) -> tuple[float, float]:
    """Of chi-squared against the discrete Laplace law in cells from -3 to 3 scales; and the variance of the draws."""
    random, spread = Random(3), float(Fraction(scale))
    z = np.array([discrete_laplace(scale, random) for _ in range(draws)])
    edge = math.ceil(3 * spread)
    inside = np.arange(-edge, edge + 1)
    a = math.exp(-1 / spread)
    chances = (1 - a) / (1 + a) * a ** np.abs(inside)
    seen = [*((z == value).sum() for value in inside), (np.abs(z) > edge).sum()]
    p_value = distributions.chisquare(seen, np.append(chances, 1 - chances.sum()) * draws).pvalue
    return float(p_value), float(z.var())


def most_favoured(eps: float, releases: int) -> tuple[float, int]:
    """By how many standard errors one person more changes an outcome's chance by more than ``exp(eps)``, at most.

    Releases of a count of 10, and of 11; outcomes that both gave at least 100 times. Also how many outcomes these are.
    """
    random = Random(4)
    without, with_one = (
        np.array([noisy_counts([rows], eps=eps, random=random).counts[0] for _ in range(releases)]) for rows in (10, 11)
    )
    excess = []
    for value in range(0, 21):
        a, b = int((without == value).sum()), int((with_one == value).sum())
        if min(a, b) >= 100:
            excess.append((abs(math.log(a / b)) - eps) / math.sqrt(1 / a + 1 / b))
    return max(excess, default=math.inf), len(excess)
