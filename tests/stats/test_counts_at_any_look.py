"""E-values that are functions of counts: bad events per share, rates, shares of requests."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.badevents import harm_log_e, ratio_interval, safety_log_e
from kairos.stats.rates import rate_log_e
from kairos.stats.srm import srm_log_e

STAGES = {0.01: (2, 58), 0.05: (6, 54), 0.25: (20, 40)}


def test_bad_event_e_values_are_the_pinned_ones() -> None:
    """One share, three ramp steps pooled, no harm, and two proofs of safety."""
    assert harm_log_e({0.05: (12, 88)}) == pytest.approx(2.529660, abs=1e-6)
    assert harm_log_e(STAGES) == pytest.approx(1.473478, abs=1e-6)
    assert harm_log_e({0.05: (5, 95)}) == pytest.approx(-1.366520, abs=1e-6)
    assert safety_log_e({0.25: (40, 160)}, 1.5) == pytest.approx(7.433804, abs=1e-6)
    assert safety_log_e({0.25: (100, 300)}, 1.5) == pytest.approx(5.241802, abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "bounds"),
    [({0.05: (12, 88)}, (0.826, 6.301)), (STAGES, (0.778, 3.545)), ({0.25: (100, 300)}, (0.656, 1.483))],
)
def test_ratio_intervals_are_the_pinned_ones(counts: dict[float, tuple[int, int]], bounds: tuple[float, float]) -> None:
    """95 % at all looks; the estimate lies inside. (The pins were read off a grid of ratios: within 0.1 %.)"""
    found = ratio_interval(counts)
    assert (found.lower, found.upper) == pytest.approx(bounds, rel=1e-3)
    assert found.lower < found.estimate < found.upper


def test_no_bad_events_say_nothing_and_one_sided_ones_only_one_thing() -> None:
    """An empty count is an e-value of 1 and an unbounded ratio."""
    assert harm_log_e({}) == 0.0
    assert harm_log_e({0.1: (0, 0)}) == 0.0
    nothing = ratio_interval({0.1: (0, 0)})
    assert (nothing.lower, nothing.upper) == (0.0, math.inf)
    none_of_challenger = ratio_interval({0.5: (0, 40)})
    assert none_of_challenger.lower == none_of_challenger.estimate == 0.0
    assert none_of_challenger.upper < 1
    none_of_champion = ratio_interval({0.5: (40, 0)})
    assert none_of_champion.lower > 1
    assert none_of_champion.upper == none_of_champion.estimate == math.inf


@given(
    st.dictionaries(st.floats(0.001, 0.999), st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6),
)
def test_order_of_steps_does_not_matter(counts: dict[float, tuple[int, int]]) -> None:
    """The same counts in any order give the identical e-value, to the bit."""
    shuffled = dict(sorted(counts.items(), key=lambda item: -item[0]))
    assert harm_log_e(shuffled) == harm_log_e(counts)
    assert safety_log_e(shuffled, 1.25) == safety_log_e(counts, 1.25)


def test_rate_e_values_are_the_pinned_ones() -> None:
    """Against p <= 1 % with 20 and 30 events in 1000."""
    assert rate_log_e(20, 1000, 0.01, "greater") == pytest.approx(1.991326, abs=1e-6)
    assert rate_log_e(30, 1000, 0.01, "greater") == pytest.approx(11.031734, abs=1e-6)


@pytest.mark.parametrize(("cap", "trials"), [(0.01, 302), (0.005, 601), (0.001, 2998)])
def test_zero_events_certify_a_cap_almost_as_the_rule_of_three(cap: float, trials: int) -> None:
    """The first number of trials without an event that proves the rate to be below the cap."""
    assert rate_log_e(0, trials, cap, "less") >= math.log(20)
    assert rate_log_e(0, trials - 1, cap, "less") < math.log(20)


def test_overwhelming_counts_do_not_break_the_rate() -> None:
    """Far on the other side the evidence is nil, far on this side it is finite."""
    assert rate_log_e(0, 10**7, 0.5, "greater") == -math.inf
    assert math.isfinite(rate_log_e(10**6, 10**6, 0.001, "greater"))
    assert rate_log_e(0, 0, 0.01, "greater") == pytest.approx(0.0, abs=1e-12)


def test_share_e_values_are_the_pinned_ones() -> None:
    """9,400 to 600 where 95 % to 5 % was drawn, for three concentrations; and a true draw."""
    counts, shares = (9400, 600), (0.95, 0.05)
    assert srm_log_e(counts, shares, k=1) == pytest.approx(4.4733, abs=1e-4)
    assert srm_log_e(counts, shares, k=10) == pytest.approx(6.2179, abs=1e-4)
    assert srm_log_e(counts, shares) == pytest.approx(7.4191, abs=1e-4)
    assert srm_log_e((9500, 500), shares, k=10) == pytest.approx(-3.6081, abs=1e-4)


def test_impossible_counts_are_refused() -> None:
    """Shares of 0 and 1, more events than trials, shares that do not add up."""
    with pytest.raises(UsageError, match="share"):
        harm_log_e({1.0: (1, 1)})
    with pytest.raises(UsageError, match="positive"):
        safety_log_e(STAGES, 0.0)
    with pytest.raises(UsageError, match="3 of 2"):
        rate_log_e(3, 2, 0.1, "less")
    with pytest.raises(UsageError, match="cap"):
        rate_log_e(1, 2, 1.0, "less")
    with pytest.raises(UsageError, match="sum to 1"):
        srm_log_e([1, 2], [0.5, 0.6])
    with pytest.raises(ShapeMismatch):
        srm_log_e([1, 2, 3], [0.5, 0.5])
