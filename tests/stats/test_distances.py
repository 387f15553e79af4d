"""Distances of histograms, and whether they are more than matters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as distributions
from scipy.spatial.distance import jensenshannon

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.distances import DEFAULT_EPS, DistanceKind, chi2_test, distance, distance_test

GRADES = [253, 302, 204, 134, 72, 26, 8]
GRADES_NOW = [177, 262, 285, 158, 88, 25, 6]
PINNED: dict[DistanceKind, float] = {
    "jensen_shannon": 0.091793,
    "l_infinity": 0.080511,
    "total_variation": 0.120059,
    "hellinger": 0.091890,
}
COUNTS = st.lists(st.integers(0, 500), min_size=4, max_size=4).filter(lambda x: sum(x) > 0)
KINDS = list(DEFAULT_EPS)
AT = [0.0, 1.0, 2.5, 7.0]


@pytest.mark.parametrize("kind", PINNED)
def test_distances_agree_with_the_pinned_example(kind: DistanceKind) -> None:
    """Seven credit grades; the Jensen-Shannon distance also to the base of 2."""
    assert distance(kind, GRADES, GRADES_NOW) == pytest.approx(PINNED[kind], abs=1e-6)
    if kind == "jensen_shannon":
        assert distance(kind, GRADES, GRADES_NOW) / math.sqrt(math.log(2)) == pytest.approx(0.110254, abs=1e-6)


@given(COUNTS, COUNTS)
def test_distances_are_those_of_scipy(a: list[int], b: list[int]) -> None:
    """Jensen-Shannon, Wasserstein and Kolmogorov-Smirnov of the cells, chi-squared of the table."""
    assert distance("jensen_shannon", a, b) == pytest.approx(float(jensenshannon(a, b)), abs=1e-7)
    moved = distributions.wasserstein_distance(AT, AT, np.array(a), np.array(b))
    assert distance("wasserstein", a, b, positions=AT) == pytest.approx(moved, abs=1e-9)
    ks = distributions.ks_2samp(np.repeat(AT, a), np.repeat(AT, b)).statistic
    assert distance("kolmogorov_smirnov", a, b) == pytest.approx(ks, abs=1e-9)
    both = [(x, y) for x, y in zip(a, b, strict=True) if x or y]
    if len(both) > 1:
        theirs = distributions.chi2_contingency(np.array(both).T, correction=False)
        assert chi2_test(a, b) == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-9)


@given(COUNTS, COUNTS, st.sampled_from(KINDS), st.integers(1, 7))
def test_a_distance_is_one(a: list[int], b: list[int], kind: DistanceKind, times: int) -> None:
    """It is the same both ways, 0 from itself, and looks at shares, not at rows."""
    there = distance(kind, a, b, positions=AT)
    assert there == pytest.approx(distance(kind, b, a, positions=AT), abs=1e-9)
    assert distance(kind, a, [x * times for x in a], positions=AT) == pytest.approx(0, abs=1e-7)
    assert there == pytest.approx(distance(kind, a, [x * times for x in b], positions=AT), abs=1e-7)
    assert 0 <= there <= (7.0 if kind == "wasserstein" else 1.0) + 1e-12


@given(COUNTS, COUNTS, st.sampled_from(KINDS), st.integers(0, 3))
def test_the_test_says_the_same_again(a: list[int], b: list[int], kind: DistanceKind, seed: int) -> None:
    """Equal numbers and seed give the same answer; bounds enclose nothing below 0; an alarm is beyond ``eps``."""
    found = distance_test(kind, a, b, positions=AT, resamples=99, seed=seed)
    assert found == distance_test(kind, a, b, positions=AT, resamples=99, seed=seed)
    assert 0 <= found.lower <= found.upper
    assert not found.alarm or found.distance > DEFAULT_EPS[kind]
    assert not (found.alarm and found.too_small)


def test_the_three_answers() -> None:
    """Far away, proven near, and too few rows to tell."""
    reference = [1000] * 10
    tilted = [140, 130, 120, 110, 100, 100, 90, 80, 70, 60]
    far = distance_test("jensen_shannon", reference, [20 * x for x in tilted], eps=0.05)
    assert (far.alarm, far.too_small) == (True, False)
    assert far.lower > 0.05
    near = distance_test("jensen_shannon", reference, [2000] * 10)
    assert (near.alarm, near.too_small, near.p_value) == (False, False, 1.0)
    few = distance_test("jensen_shannon", reference, [4, 6, 5, 5, 3, 7, 5, 5, 6, 4])
    assert (few.alarm, few.too_small) == (False, True)
    nothing = distance_test("l_infinity", reference, [0] * 10)
    assert (nothing.alarm, nothing.too_small, nothing.upper) == (False, True, math.inf)


def test_what_cannot_be_compared_is_refused() -> None:
    """Cells that differ, negative counts, no tolerance, rows that nobody knows the place of."""
    with pytest.raises(ShapeMismatch):
        distance("hellinger", [1, 2], [1, 2, 3])
    with pytest.raises(UsageError, match="number of rows"):
        distance("hellinger", [1, -2], [1, 2])
    with pytest.raises(UsageError, match="tolerated"):
        distance_test("hellinger", [1, 2], [1, 2], eps=0.0)
    with pytest.raises(UsageError, match="where the cells are"):
        distance("wasserstein", [1, 2], [1, 2])
    with pytest.raises(UsageError, match="ascending"):
        distance("wasserstein", [1, 2], [1, 2], positions=[2.0, 1.0])
    assert distance("hellinger", [0, 0], [1, 2]) == 0.0
    assert chi2_test([5, 0], [3, 0]) == (0.0, 1.0)
