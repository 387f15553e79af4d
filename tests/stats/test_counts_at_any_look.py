"""E-values that are functions of counts: bad events per share, rates, shares of requests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.badevents import harm_log_e, harm_log_e_path, ratio_interval, safety_log_e, safety_log_e_path
from kairos.stats.rates import rate_log_e, rate_log_e_path
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


@given(st.lists(st.tuples(st.sampled_from([0.01, 0.05, 0.5]), st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_evidence_over_time_is_that_of_the_counts_so_far(stretches: list[tuple[float, int, int]]) -> None:
    """After each stretch of time, whatever the shares were before; several series at once are each their own."""
    shares, mine, theirs = zip(*stretches, strict=True)
    counts: dict[float, tuple[int, int]] = {}
    harm, safety = harm_log_e_path(shares, mine, theirs), safety_log_e_path(shares, mine, theirs, 1.5)
    for place, (share, a, b) in enumerate(stretches):
        before = counts.get(share, (0, 0))
        counts[share] = (before[0] + a, before[1] + b)
        assert harm[place] == pytest.approx(harm_log_e(counts), abs=1e-9)
        assert safety[place] == pytest.approx(safety_log_e(counts, 1.5), abs=1e-9)
    assert np.allclose(harm_log_e_path(shares, [mine, theirs], [theirs, mine])[0], harm)


def test_stretches_that_do_not_fit_are_refused() -> None:
    """Other lengths, a share of everything, counts below 0."""
    with pytest.raises(ShapeMismatch, match="do not fit"):
        harm_log_e_path([0.1, 0.1], [1], [1])
    with pytest.raises(UsageError, match="counted"):
        harm_log_e_path([1.0], [1], [1])
    with pytest.raises(UsageError, match="counted"):
        safety_log_e_path([0.5], [-1], [1], 1.5)


def test_rates_of_many_counts_are_those_of_each() -> None:
    """Either side."""
    k, n = np.array([0, 3, 30]), np.array([10, 10, 1000])
    for side in ("greater", "less"):
        found = rate_log_e_path(k, n, 0.02, "greater" if side == "greater" else "less")
        each = [
            rate_log_e(int(a), int(b), 0.02, "greater" if side == "greater" else "less")
            for a, b in zip(k, n, strict=True)
        ]
        assert found.tolist() == pytest.approx(each)


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
