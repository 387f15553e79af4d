"""What requests are worth is compared rightly while a ramp goes up and the times change: 2,000 ramps each.

Requests bring more, and more often, by the end of the ramp, and by day; looked at after each of 160 ticks. A rate may
exceed its promise by three standard errors. The long runs: ``benchmarks/decisions/worth.py``.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.decisions.worth import ALPHA, SIDES, TICKS, WORLDS, draw, first, naive_claims, truth

RUNS = 2000
AT_MOST = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


@pytest.mark.parametrize("world", WORLDS)
def test_a_version_that_brings_as_much_is_rarely_called_worse_or_better(world: str) -> None:
    """With a range and without, all alike and with rare great values."""
    values = draw(WORLDS[world], np.random.default_rng(1), RUNS)
    for side in SIDES:
        assert (first(WORLDS[world], values, side=side) < TICKS).mean() <= AT_MOST


@pytest.mark.parametrize("world", ["exponential, cut at five means", "lognormal, sigma 1.5", "Pareto, 2.5"])
def test_the_difference_is_rarely_ever_outside_its_bounds(world: str) -> None:
    """Of a version that brings twice as much: the weighted difference up to each tick."""
    values = draw(WORLDS[world], np.random.default_rng(2), RUNS, times=2.0)
    for side in SIDES:
        missed = first(WORLDS[world], values, side=side, null=truth(WORLDS[world], times=2.0)) < TICKS
        assert missed.mean() <= AT_MOST


def test_who_compares_sums_without_their_steps_takes_the_times_for_merit() -> None:
    """Almost every equal version seems better: most of its requests are late ones, when requests bring more."""
    assert naive_claims(draw(WORLDS["exponential"], np.random.default_rng(3), 200)).mean() > 0.95


@pytest.mark.parametrize("world", [world for world in WORLDS if "two kinds" not in world])
def test_a_version_that_brings_half_as_much_is_seen_on_the_ramp(world: str) -> None:
    """Almost always, and before half of the requests are its own; later where it is few great values that count."""
    looks = first(WORLDS[world], draw(WORLDS[world], np.random.default_rng(4), 200, times=0.5), side="less")
    assert (looks < TICKS).mean() >= 0.9
    assert np.median(looks) < 0.75 * TICKS
