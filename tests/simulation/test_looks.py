"""Promises under looks at every value, 2,000 streams each with fixed seeds; three standard errors are allowed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.decisions import looks

RUNS = 2000
AT_MOST = looks.ALPHA + 3 * math.sqrt(looks.ALPHA * (1 - looks.ALPHA) / RUNS)


@pytest.mark.parametrize("draw", looks.DRAWS)
@pytest.mark.parametrize("method", looks.METHODS)
def test_a_true_mean_is_seldom_ever_refuted(method: str, draw: str) -> None:
    """At each of 2,000 values; for rates alone where the method is for rates."""
    if method in looks.ONLY_RATES and "events" not in draw:
        draw = "events, 5 %"
    assert looks.misses(method, draw, RUNS) <= AT_MOST


@pytest.mark.parametrize("draw", ["uniform", "events, 1 %"])
def test_a_t_test_at_the_same_looks_is_wrong_in_four_streams_of_ten(draw: str) -> None:
    """What the sequences are for."""
    assert looks.t_test_misses(draw, RUNS) > 0.4


def test_asymptotic_bounds_are_right_of_rates_because_they_wait() -> None:
    """At a rate of 1 % and 2,000 values ours say next to nothing; those that speak early are wrong in six of ten."""
    assert looks.asymptotic_misses("events, 1 %", RUNS, waits=True) <= AT_MOST
    assert looks.asymptotic_misses("events, 1 %", RUNS, waits=False) > 0.5


def test_a_mean_that_swings_is_inside_its_bounds_all_the_while() -> None:
    """The running average of expectations between -8 % and 8 %."""
    assert looks.moving_mean_misses(RUNS) <= AT_MOST


@pytest.mark.parametrize("kind", ["e-SR", "e-CUSUM"])
def test_false_alarms_are_on_average_as_far_apart_as_asked_for(kind: str) -> None:
    """At the tolerated rate, a bar of 1,000; runs that reach 20,000 values count as that."""
    lengths = looks.run_lengths(RUNS, rate=0.12, tolerated=0.12, threshold=1000, kind=kind, most=20_000)
    assert lengths.mean() >= 1000


def test_a_benign_shift_is_seldom_called_harmful() -> None:
    """The loss of new rows is that of the source plus the tolerance, looked at after each of 2,000 labels."""
    assert np.isfinite(looks.benign_shift_alarms(RUNS)).mean() <= AT_MOST
