"""Quantiles at any look, from values and from counts, and the test between two arms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.quantiles import quantile_ab_log_e, quantile_from_counts, quantile_interval, quantile_ranks
from kairos.stats.rates import rate_interval

THOUSAND = np.arange(1, 1001)


@pytest.mark.parametrize(
    ("p", "shift", "p_value"), [(0.5, 70, 0.814704), (0.5, 85, 0.0838055), (0.5, 100, 0.0054947), (0.9, 55, 0.0340463)]
)
def test_two_arms_are_told_apart_as_pinned(p: float, shift: int, p_value: float) -> None:
    """A thousand values each, one arm moved; the p-value is one over the e-value, 1 at most."""
    log_e = quantile_ab_log_e(THOUSAND, THOUSAND + shift, p, t_opt=100)
    assert min(1.0, math.exp(-log_e)) == pytest.approx(p_value, abs=1e-6)
    assert quantile_ab_log_e(THOUSAND + shift, THOUSAND, p, t_opt=100) == pytest.approx(log_e, rel=1e-6)


def test_the_two_arm_test_needs_values_of_both_arms() -> None:
    """None, or one arm alone, is no evidence that they differ; nor are equal arms."""
    assert quantile_ab_log_e([], [], 0.5, t_opt=10) == 0.0
    assert quantile_ab_log_e(THOUSAND, [], 0.5, t_opt=100) <= 0.0
    assert quantile_ab_log_e(np.ones(500), np.ones(500), 0.9, t_opt=100) <= 0.0


def test_where_no_bound_can_be_reached_there_is_none() -> None:
    """Five values say nothing of the 90 % quantile from above: infinite, not the largest value so far.

    The limit of all possible values is not taken for a boundary that was crossed.
    """
    few = quantile_interval(range(5), 0.9, alpha=0.05, t_opt=1000)
    assert (few.lower, few.estimate, few.upper) == (-math.inf, 4.0, math.inf)
    assert math.isnan(quantile_interval([], 0.5, alpha=0.05, t_opt=10).estimate)
    n = np.arange(0, 40)
    low, _, high = quantile_ranks(n, 0.9, alpha=0.05, t_opt=100)
    assert (high > n).all()
    assert (low[:4] < 1).all()


@given(st.lists(st.integers(0, 40), min_size=0, max_size=300), st.floats(0.05, 0.95))
def test_counts_say_what_values_say(x: list[int], p: float) -> None:
    """Cells that hold one value each: the same estimate, and bounds that are edges of the same cells."""
    values = quantile_interval(x, p, alpha=0.1, t_opt=100)
    counts = np.bincount(np.asarray(x, dtype=np.int64), minlength=41)
    cells = quantile_from_counts(counts, np.arange(-1.0, 41.0), p, alpha=0.1, t_opt=100)
    assert cells.estimate == values.estimate or (math.isnan(cells.estimate) and not x)
    assert cells.lower == (values.lower - 1 if math.isfinite(values.lower) else -math.inf)
    assert cells.upper == values.upper


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.floats(0.05, 0.95))
def test_the_estimate_is_between_its_bounds(x: list[float], p: float) -> None:
    """Ties included; a monotone map of the values maps the bounds."""
    found = quantile_interval(x, p, alpha=0.05, t_opt=100)
    assert found.lower <= found.estimate <= found.upper
    mapped = quantile_interval(np.arctan(x), p, alpha=0.05, t_opt=100)
    assert mapped.estimate == pytest.approx(math.atan(found.estimate))


@pytest.mark.parametrize(
    ("k", "n", "t_opt", "bounds"),
    [
        (700, 1000, 100, (0.651629, 0.745949)),
        (15, 50, 50, (0.129556, 0.511896)),
        (5, 50, 50, (0.013021, 0.269264)),
        (1, 50, 50, (0.0, 0.13489)),
        (12, 1000, 500, (0.003884, 0.025324)),
    ],
)
def test_bounds_of_a_rate_are_the_pinned_ones(k: int, n: int, t_opt: float, bounds: tuple[float, float]) -> None:
    """Of confseq's unit tests; from counts alone."""
    found = rate_interval(k, n, alpha=0.05, t_opt=t_opt)
    assert (found.lower, found.upper) == pytest.approx(bounds, abs=3e-6)
    assert found.estimate == k / n


def test_a_rate_without_trials_may_be_anything() -> None:
    """And one with nothing but events has no upper bound below 1."""
    nothing = rate_interval(0, 0, alpha=0.05, t_opt=50)
    assert (nothing.lower, nothing.upper) == (0.0, 1.0)
    all_of_them = rate_interval(30, 30, alpha=0.05, t_opt=50)
    assert all_of_them.lower > 0.7
    assert all_of_them.upper == 1.0


def test_what_is_no_quantile_is_refused() -> None:
    """p of 0 or 1, edges that do not rise, counts below 0, events above trials."""
    with pytest.raises(UsageError, match="quantile"):
        quantile_interval([1.0], 1.0, alpha=0.05, t_opt=10)
    with pytest.raises(UsageError, match="quantile"):
        quantile_ab_log_e([1.0], [1.0], 0.0, t_opt=10)
    with pytest.raises(ShapeMismatch, match="edges"):
        quantile_from_counts([1, 2], [0.0, 1.0, 1.0], 0.5, alpha=0.05, t_opt=10)
    with pytest.raises(UsageError, match="counted"):
        quantile_from_counts([1, -2], [0.0, 1.0, 2.0], 0.5, alpha=0.05, t_opt=10)
    with pytest.raises(UsageError, match="3 of 2"):
        rate_interval(3, 2, alpha=0.05, t_opt=10)
