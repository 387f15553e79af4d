"""Bins that add up, and the minimum-effect test on what they counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.bins import CategoryBins, NumberBins
from kairos.stats.psi import psi, psi_test

GRADES = [253, 302, 204, 134, 72, 26, 8]
GRADES_NOW = [177, 262, 285, 158, 88, 25, 6]


def test_number_bins_hold_a_tenth_of_the_reference_each() -> None:
    """Ten quantile bins, and separate cells for below, above and missing."""
    reference = np.random.default_rng(0).normal(size=5000)
    bins = NumberBins.fit(reference)
    counts = bins.counts(np.append(reference, [-99, 99, math.nan, math.inf]))
    assert counts[1:-2].tolist() == [500] * 10
    assert (counts[0], counts[-2], counts[-1]) == (1, 2, 1)
    assert bins.fold(counts).tolist() == [501, *[500] * 8, 502, 1]
    assert len(bins.cells) == counts.size


def test_few_values_and_ties_still_make_bins_that_can_move() -> None:
    """A flag, a constant, and a number with a heavy tie at either end."""
    assert NumberBins.fit([0, 0, 1]).counts([0, 1, 1]).tolist() == [0, 1, 2, 0, 0]
    assert NumberBins.fit([7.0, 7.0]).counts([6, 7, 8]).tolist() == [1, 1, 1, 0]
    low = np.concatenate([np.zeros(950), np.linspace(1, 2, 50)])
    assert NumberBins.fit(low).counts(low)[1:3].tolist() == [950, 50]
    high = np.concatenate([np.full(950, 2.0), np.linspace(0, 1, 50)])
    assert NumberBins.fit(high).counts(high)[1:3].tolist() == [50, 950]
    with pytest.raises(UsageError, match="finite value"):
        NumberBins.fit([math.nan])


@given(
    st.lists(st.floats(allow_nan=True), min_size=0, max_size=40),
    st.lists(st.floats(allow_nan=True), min_size=0, max_size=40),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
)
def test_counts_of_parts_add_up(left: list[float], right: list[float], reference: list[float]) -> None:
    """The counts of two workers are the counts of one; every row is in exactly one cell."""
    bins = NumberBins.fit(reference)
    assert (bins.counts(left) + bins.counts(right)).tolist() == bins.counts([*left, *right]).tolist()
    assert bins.counts(left).sum() == len(left)
    assert bins.counts(reference)[[0, -2, -1]].sum() == 0


def test_category_bins_keep_the_frequent_levels() -> None:
    """Frequent levels first, the rest as other, and what is missing apart."""
    bins = CategoryBins.fit(["b", "a", "b", "c", None, "a"], levels=2)
    assert bins.levels == ("a", "b")
    assert bins.counts(["a", "z", "c", None, math.nan, ""]).tolist() == [1, 0, 2, 3]
    assert CategoryBins.fit([True, False, True]).levels == ("true", "false")
    assert len(bins.cells) == 4
    with pytest.raises(ShapeMismatch):
        bins.fold([1, 2])


def test_psi_agrees_with_the_pinned_example() -> None:
    """Seven credit grades; critical value, p-value, bias and 90 % interval of the reference computation."""
    got = psi_test(GRADES, GRADES_NOW, eps=0.0, alpha=0.05)
    assert got.psi == pytest.approx(0.067693, abs=1e-6)
    assert got.p_value == pytest.approx(7.20256e-06, rel=1e-5)
    assert got.psi - got.corrected == pytest.approx(0.012000, abs=1e-6)
    assert (got.lower, got.upper) == pytest.approx((0.02637, 0.10002), abs=1e-5)
    assert got.alarm
    assert not psi_test(GRADES, GRADES_NOW, eps=0.10).alarm


def test_the_critical_value_is_the_pinned_one() -> None:
    """On the way from no change to the pinned example, the test turns at an index of 0.025183."""
    unchanged = np.array(GRADES) / sum(GRADES) * sum(GRADES_NOW)

    def window(part: float) -> NDArray[np.float64]:
        return unchanged + part * (np.array(GRADES_NOW) - unchanged)

    turn = brentq(lambda part: psi_test(GRADES, window(part), eps=0.0).p_value - 0.05, 0.1, 1.0)
    assert psi(GRADES, window(turn)) == pytest.approx(0.025183, abs=1e-6)


@pytest.mark.parametrize(("eps", "rows"), [(0.02, 1929), (0.05, 772), (0.10, 386), (0.25, 155)])
def test_needed_rows_are_those_of_the_table(eps: float, rows: int) -> None:
    """Ten bins, a large reference, 80 % power at twice the tolerated index."""
    reference = np.full(10, 10**9)
    assert psi_test(reference, np.full(10, 30), eps=eps).needed_rows == rows


def test_a_small_window_is_too_small_not_stable() -> None:
    """Few rows without an alarm say "keep counting"; a gross change is seen with few rows."""
    reference = np.full(10, 1000)
    assert psi_test(reference, np.full(10, 20)).too_small
    assert psi_test(reference, np.zeros(10)).upper == math.inf
    assert not psi_test(reference, np.full(10, 50)).too_small
    gross = psi_test(reference, [200, *[0] * 9])
    assert gross.alarm
    assert not gross.too_small


def test_bounds_and_alarm_agree() -> None:
    """The alarm fires exactly when the lower bound is above the tolerated index."""
    reference = np.full(10, 1000)
    for tilt in range(0, 60, 5):
        window = 100 + tilt * np.linspace(-1, 1, 10)
        got = psi_test(reference, window, eps=0.02)
        assert got.alarm == (got.lower > 0.02)


def test_counts_of_other_bins_are_refused() -> None:
    """Counts of different bins cannot be compared."""
    with pytest.raises(ShapeMismatch):
        psi_test([1, 2, 3], [1, 2])
    with pytest.raises(UsageError):
        psi_test([1, -2], [1, 2])
