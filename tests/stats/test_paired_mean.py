"""The paired mean difference and the sample sizes that go with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as distributions

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.dependence import Dependence
from kairos.stats.paired import paired_mean, paired_zero_one
from kairos.stats.samplesize import provable_margin, rows_for_margin


def test_independent_rows_give_the_paired_t_interval() -> None:
    """With independent rows the bounds are those of scipy's paired t-test."""
    rng = np.random.default_rng(1)
    a, b = rng.gamma(2, 3, 50), rng.gamma(2, 2.5, 50)
    got = paired_mean(a, b, alpha=0.05)
    want = distributions.ttest_rel(a, b).confidence_interval(0.90)
    assert (got.lower, got.upper) == pytest.approx((want.low, want.high))
    assert got.design_effect == 1.0
    assert (got.method, got.dependence) == ("t", "independent")
    assert got.p_below(0.0) == pytest.approx(distributions.ttest_rel(a, b, alternative="less").pvalue)
    assert got.p_above(0.0) == pytest.approx(distributions.ttest_rel(a, b, alternative="greater").pvalue)


def test_the_challengers_own_mean_has_bounds_too() -> None:
    """Those of a one-sample t interval."""
    b = np.random.default_rng(2).gamma(2, 2.5, 50)
    got = paired_mean(b + 1, b, alpha=0.05)
    want = distributions.ttest_1samp(b, 0.0).confidence_interval(0.90)
    assert (got.own_lower, got.own_upper) == pytest.approx((want.low, want.high))


def test_no_rows_or_one_block_is_not_certainty() -> None:
    """Without two independent blocks nothing is known: infinite bounds, not a standard error of 0."""
    alike = np.array(["a", "a"])
    for got in (
        paired_mean([], [], alpha=0.05),
        paired_mean([1.0], [2.0], alpha=0.05),
        paired_mean([1.0, 2.0], [1.0, 3.0], alpha=0.05, dependence=Dependence(entities=alike)),
        paired_mean([1.0, 2.0], [1.0, 3.0], alpha=0.05, dependence=Dependence(times=alike)),
    ):
        assert (got.lower, got.upper, got.se) == (-math.inf, math.inf, math.inf)
        assert (got.p_below(0.0), got.p_above(0.0)) == (1.0, 1.0)


def test_rows_that_all_differ_alike_are_certain_of_it_and_equal_ones_of_nothing_else() -> None:
    """No spread at all: what is seen is what is, and it is neither above nor below itself."""
    got = paired_mean([3.0, 3.0, 3.0], [1.0, 1.0, 1.0], alpha=0.05)
    assert (got.lower, got.upper) == (2.0, 2.0)
    assert (got.p_above(1.9), got.p_above(2.0), got.p_below(2.0), got.p_below(2.1)) == (0.0, 1.0, 1.0, 0.0)


def test_what_cannot_be_paired_is_refused() -> None:
    """Unequal lengths, NaN and an impossible alpha are named in the error."""
    with pytest.raises(ShapeMismatch, match="2 and 1 rows"):
        paired_mean([1.0, 2.0], [1.0], alpha=0.05)
    with pytest.raises(UsageError, match="the first at index 1"):
        paired_mean([1.0, math.nan], [1.0, 2.0], alpha=0.05)
    with pytest.raises(UsageError, match="alpha"):
        paired_mean([1.0], [1.0], alpha=0.0)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=30))
def test_swapping_the_models_mirrors_the_interval(rows: list[tuple[float, float]]) -> None:
    """Which model is called the challenger changes the sign and nothing else."""
    a, b = (np.array(column) for column in zip(*rows, strict=True))
    one, two = paired_mean(a, b, alpha=0.1), paired_mean(b, a, alpha=0.1)
    assert one.lower == pytest.approx(-two.upper, abs=1e-9)
    assert one.difference == pytest.approx(-two.difference, abs=1e-9)


@pytest.mark.parametrize(
    ("discordance", "rows"),
    [
        (0.02, (30_913, 4_947, 1_237, 310)),
        (0.05, (77_282, 12_366, 3_092, 773)),
        (0.10, (154_564, 24_731, 6_183, 1_546)),
        (0.20, (309_128, 49_461, 12_366, 3_092)),
    ],
)
def test_sample_sizes_are_those_of_the_table(discordance: float, rows: tuple[int, ...]) -> None:
    """Power 0.8, one-sided 0.05, equal models with a 0/1 loss."""
    got = tuple(rows_for_margin(math.sqrt(discordance), delta, 0.05) for delta in (0.002, 0.005, 0.01, 0.02))
    assert got == rows


def test_the_provable_margin_undoes_the_sample_size() -> None:
    """The margin that n rows prove needs n rows."""
    assert rows_for_margin(3.0, provable_margin(500, 3.0, 0.05), 0.05) == 500
    assert provable_margin(0, 3.0, 0.05) == math.inf
    with pytest.raises(UsageError, match="positive margin"):
        rows_for_margin(1.0, 0.0, 0.05)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(10, 200))
def test_right_or_wrong_losses_have_score_bounds_and_p_values(gained: int, lost: int, same: int) -> None:
    """Bounds and p-value are of one test; the standard error is never 0, not even if the two models always agree."""
    n = gained + lost + same
    champion = np.r_[np.ones(gained), np.zeros(lost), np.zeros(same)]
    challenger = np.r_[np.zeros(gained), np.ones(lost), np.zeros(same)]
    got = paired_zero_one(champion, challenger, alpha=0.05)
    assert (got.discordant, got.method) == (gained + lost, "tango")
    assert got.difference == pytest.approx((gained - lost) / n)
    assert got.p_below(got.upper) == pytest.approx(0.05, abs=1e-4)
    assert got.p_below(got.lower) == pytest.approx(0.95, abs=1e-4)
    assert got.p_above(got.lower) == pytest.approx(0.05, abs=1e-4)
    assert (got.p_below(-2.0), got.p_below(2.0)) == pytest.approx((1.0, 0.0), abs=1e-6)
    assert got.se > 0.0
    assert got.own_lower <= got.challenger <= got.own_upper


def test_an_error_rate_has_exact_bounds() -> None:
    """Clopper and Pearson's, as statsmodels gives them for 7 of 43."""
    wrong = np.r_[np.ones(7), np.zeros(36)]
    got = paired_zero_one(wrong, wrong, alpha=0.05)
    assert (got.own_lower, got.own_upper) == pytest.approx((0.07898431782674065, 0.28412600599897975))


def test_only_right_and_wrong_have_score_bounds() -> None:
    """A probability is no verdict, and no rows are no knowledge."""
    with pytest.raises(UsageError, match="neither right nor wrong"):
        paired_zero_one([0.5], [1.0], alpha=0.05)
    with pytest.raises(UsageError, match="bound"):
        paired_zero_one([0.0], [1.0], alpha=0.5)
    assert paired_zero_one([], [], alpha=0.05).lower == -math.inf
