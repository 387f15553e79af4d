"""Metrics over seeds: intervals that hold their level, with pairs and without."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from kairos.errors import UsageError
from kairos.stats.seeds import compare_seeds

RUNS = 4000
MARGIN = 3 * math.sqrt(0.05 * 0.95 / RUNS)
"""Three standard errors of a share of 5 % in so many runs."""


def test_pairs_are_compared_where_two_seeds_are_shared() -> None:
    """As the t test of the differences, whatever other seeds there are."""
    before, after = {0: 40.0, 1: 44.0, 2: 41.0, 9: 99.0}, {2: 40.5, 0: 39.0, 1: 43.5}
    found = compare_seeds(before, after, alpha=0.05)
    test = stats.ttest_rel([39.0, 43.5, 40.5], [40.0, 44.0, 41.0]).confidence_interval(0.95)
    assert (found.is_paired, found.seeds, found.df) == (True, 3, 2)
    assert (found.lower, found.upper) == pytest.approx((test.low, test.high))
    assert found.difference == pytest.approx(-2 / 3)


def test_other_seeds_are_compared_as_welch_does() -> None:
    """With unlike numbers and unlike variances."""
    a, b = [40.0, 44.0, 41.0, 39.0], [30.0, 38.0, 45.0]
    found = compare_seeds(dict(enumerate(a)), dict(enumerate(b, start=3)), alpha=0.1)
    test = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.9)
    assert not found.is_paired
    assert (found.lower, found.upper) == pytest.approx((test.low, test.high))


def test_seeds_that_change_nothing_leave_an_exact_difference() -> None:
    """No spread: the interval is the difference."""
    found = compare_seeds({0: 2.0, 1: 2.0}, {5: 1.5, 6: 1.5}, alpha=0.05)
    assert found.lower == found.difference == found.upper == -0.5


@pytest.mark.parametrize(("before", "after"), [({0: 1.0}, {0: 1.0, 1: 2.0}), ({0: 1.0, 1: math.nan}, {0: 1.0, 1: 2.0})])
def test_too_little_is_refused(before: dict[int, float], after: dict[int, float]) -> None:
    """One seed, or a metric that is no number."""
    with pytest.raises(UsageError):
        compare_seeds(before, after, alpha=0.05)


@pytest.mark.parametrize("is_paired", [True, False], ids=["paired", "welch"])
@pytest.mark.parametrize("shape", ["normal", "skewed", "unlike"])
def test_the_rate_of_false_alarms_is_below_alpha(is_paired: bool, shape: str) -> None:
    """Five seeds each, no true difference, 4,000 times: at most 5 % are said to be more than chance makes."""
    draw = np.random.default_rng(7)
    alarms = 0
    for _ in range(RUNS):
        if shape == "skewed":  # losses are bounded below; both trainings are alike
            a, b = draw.gamma(2.0, 1.0, 5), draw.gamma(2.0, 1.0, 5)
        else:
            a, b = draw.normal(40, 1, 5), draw.normal(40, 3 if shape == "unlike" else 1, 5)
        if is_paired:  # a lucky seed is lucky for both
            luck = draw.normal(0, 2, 5)
            a, b = a + luck, b + luck
        start = 0 if is_paired else 100
        found = compare_seeds(dict(enumerate(a)), dict(enumerate(b, start=start)), alpha=0.05)
        alarms += not found.lower <= 0 <= found.upper
    assert alarms / RUNS <= 0.05 + MARGIN
