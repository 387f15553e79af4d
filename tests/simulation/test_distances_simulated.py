"""False alarms of the distance test when the true distance is exactly what is tolerated, and power at twice that."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq

from kairos.stats.distances import DEFAULT_EPS, DistanceKind, distance, distance_test

Floats = NDArray[np.float64]
CELLS, REFERENCE, RUNS = 10, 20_000, 300
BEFORE = np.full(CELLS, 1 / CELLS)
AT = np.linspace(-1.6, 1.6, CELLS)


def tilted(size: float) -> Floats:
    """More rows at one end."""
    weights = np.exp(size * np.linspace(-1, 1, CELLS))
    return np.asarray(weights / weights.sum())


def bumped(size: float) -> Floats:
    """One cell takes rows from all others."""
    return np.asarray((1 - size) * BEFORE + size * np.eye(CELLS)[0])


def spread(size: float) -> Floats:
    """More rows at both ends: the largest difference is at two places at once."""
    weights = np.exp(size * np.linspace(-1, 1, CELLS) ** 2)
    return np.asarray(weights / weights.sum())


def moved(change: Callable[[float], Floats], kind: DistanceKind, to: float) -> Floats:
    """The change of that shape whose distance is exactly ``to``."""

    def excess(size: float) -> float:
        return distance(kind, BEFORE, change(size), positions=AT) - to

    return change(brentq(excess, 0.0, 0.99 if change is bumped else 8.0, xtol=1e-12))


def alarms(kind: DistanceKind, after: Floats, rows: int, seed: int) -> float:
    """Share of windows with an alarm."""
    rng = np.random.default_rng(seed)
    references, windows = rng.multinomial(REFERENCE, BEFORE, RUNS), rng.multinomial(rows, after, RUNS)
    return float(
        np.mean(
            [
                distance_test(kind, a, b, positions=AT, resamples=199, seed=i).alarm
                for i, (a, b) in enumerate(zip(references, windows, strict=True))
            ]
        )
    )


@pytest.mark.parametrize("kind", DEFAULT_EPS)
@pytest.mark.parametrize("change", [tilted, bumped, spread])
def test_what_is_tolerated_seldom_alarms(kind: DistanceKind, change: Callable[[float], Floats]) -> None:
    """300 windows each of 200 and 2,000 rows, at the boundary: 5 %; 10 % where a maximum is at two places."""
    promised = 0.10 if change is spread and kind in ("l_infinity", "kolmogorov_smirnov") else 0.05
    after = moved(change, kind, DEFAULT_EPS[kind])
    for rows in (200, 2000):
        assert alarms(kind, after, rows, seed=rows) <= promised + 3.5 * math.sqrt(promised * (1 - promised) / RUNS)


@pytest.mark.parametrize("kind", DEFAULT_EPS)
def test_twice_of_what_is_tolerated_is_seen(kind: DistanceKind) -> None:
    """In windows of 1,000 rows, at least 80 % of the time, and more often than in small ones."""
    after = moved(tilted, kind, 2 * DEFAULT_EPS[kind])
    assert alarms(kind, after, 1000, seed=7) >= 0.80


@pytest.mark.parametrize("kind", DEFAULT_EPS)
def test_the_upper_bound_is_not_below_the_truth(kind: DistanceKind) -> None:
    """In windows of 50, 200 and 1,000 rows, at half the tolerated distance and at it: more seldom than 5 %."""
    rng = np.random.default_rng(9)
    for part in (0.5, 1.0):
        after = moved(tilted, kind, part * DEFAULT_EPS[kind])
        for rows in (50, 200, 1000):
            references, windows = rng.multinomial(REFERENCE, BEFORE, 150), rng.multinomial(rows, after, 150)
            missed = [
                distance_test(kind, a, b, positions=AT, resamples=199).upper < part * DEFAULT_EPS[kind]
                for a, b in zip(references, windows, strict=True)
            ]
            assert np.mean(missed) <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / 150)
