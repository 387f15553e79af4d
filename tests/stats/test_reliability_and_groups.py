"""Whether predictions mean what they say, and how differently groups are treated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as distributions
from scipy.special import expit

from kairos.errors import ShapeMismatch
from kairos.stats.dependence import Dependence
from kairos.stats.groups import group_difference
from kairos.stats.reliability import calibrate, wilson

PLACE = np.arange(1, 201)
TRUTH = ((PLACE * (math.sqrt(5) - 1) / 2) % 1 < 0.4).astype(int)


def test_chances_have_the_slope_of_a_logistic_regression() -> None:
    """Pinned from statsmodels' Logit with robust errors (HC0)."""
    chance = np.clip(np.round(0.25 + 0.5 * ((PLACE * math.sqrt(2)) % 1) + 0.2 * TRUTH, 3), 0.01, 0.99)
    got = calibrate(TRUTH, chance, alpha=0.05, probability=True)
    assert (got.intercept, got.slope) == pytest.approx((-1.2697611194459941, 1.9503694558826008))
    reach = distributions.t.ppf(0.95, 199) * 0.2224503175405924 * math.sqrt(200 / 199)
    assert (got.slope_lower, got.slope_upper) == pytest.approx((got.slope - reach, got.slope + reach))


def test_numbers_have_the_slope_of_least_squares() -> None:
    """Scipy's; and a bias with a t interval."""
    rng = np.random.default_rng(1)
    truth = rng.gamma(2.0, 50.0, 300)
    prediction = 20 + 0.8 * truth + rng.normal(0, 10, 300)
    got = calibrate(truth, prediction, alpha=0.05)
    line = distributions.linregress(prediction, truth)
    assert (got.slope, got.intercept) == pytest.approx((line.slope, line.intercept))
    assert got.bias == pytest.approx((prediction - truth).mean())
    interval = distributions.ttest_1samp(prediction - truth, 0.0).confidence_interval(0.90)
    assert (got.bias_lower, got.bias_upper) == pytest.approx((interval.low, interval.high))
    assert sum(one.rows for one in got.bins) == 300
    assert [one.predicted for one in got.bins] == sorted(one.predicted for one in got.bins)


def test_well_calibrated_chances_are_inside_their_bins_and_a_distance_above_nothing_all_the_same() -> None:
    """Slope 1 and no bias are inside their intervals; the mean distance is above 0 by chance, so it proves nothing."""
    rng = np.random.default_rng(2)
    chance = expit(rng.normal(0, 1.5, 3000))
    got = calibrate(rng.uniform(size=3000) < chance, chance, alpha=0.01, probability=True)
    assert got.slope_lower < 1.0 < got.slope_upper
    assert got.bias_lower < 0.0 < got.bias_upper
    assert sum(one.lower <= one.predicted <= one.upper for one in got.bins) >= 9
    assert 0.0 < got.ece < 0.05
    sure = np.clip(np.where(chance > 0.5, 0.95, 0.05), 0, 1)
    assert calibrate(rng.uniform(size=3000) < chance, sure, alpha=0.01, probability=True).slope_upper < 0.8


def test_nothing_is_known_from_nothing() -> None:
    """No rows, one answer for all, or one class: NaN and infinite bounds, no warning."""
    empty = calibrate([], [], alpha=0.05)
    assert (empty.rows, empty.bins) == (0, ())
    assert math.isnan(empty.slope)
    assert math.isnan(calibrate([1.0, 2.0, 3.0], [5.0, 5.0, 5.0], alpha=0.05).slope)
    assert math.isnan(calibrate([1, 1, 1], [0.2, 0.5, 0.7], alpha=0.05, probability=True).slope)
    assert math.isnan(calibrate([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], alpha=0.05, probability=True).slope)


def test_shares_have_wilsons_bounds() -> None:
    """Scipy's; for no rows the whole range."""
    want = distributions.binomtest(7, 43).proportion_ci(0.90, method="wilson")
    assert wilson(7, 43, 0.05) == pytest.approx((want.low, want.high))
    assert wilson(0, 0, 0.05) == (0.0, 1.0)


def test_rates_of_two_groups_have_newcombes_bounds() -> None:
    """Pinned from statsmodels' confint_proportions_2indep(20, 50, 30, 60, 'newcomb', alpha=0.1)."""
    values = np.r_[np.ones(20), np.zeros(30), np.ones(30), np.zeros(30)]
    first = np.arange(110) < 50
    got = group_difference(values, first, ~first, alpha=0.05, rate=True)
    assert (got.rows, got.reference_rows) == (50, 60)
    assert (got.lower, got.upper) == pytest.approx((-0.2483866546791373, 0.055884999360740234))
    assert got.size == 0.0


def test_means_of_two_groups_are_as_sure_as_their_rows() -> None:
    """Nearly Welch's interval for independent rows; wider where rows of one entity are alike."""
    rng = np.random.default_rng(3)
    values, first = np.r_[rng.normal(5, 2, 80), rng.normal(3, 1, 120)], np.arange(200) < 80
    got = group_difference(values, first, ~first, alpha=0.05)
    want = distributions.ttest_ind(values[:80], values[80:], equal_var=False).confidence_interval(0.90)
    assert (got.lower, got.upper) == pytest.approx((want.low, want.high), abs=0.02)
    assert got.size == got.lower > 0
    many = [np.repeat(x, 5) for x in (values, first)]
    tied = group_difference(
        many[0], many[1], ~many[1], alpha=0.05, dependence=Dependence(entities=np.repeat(np.arange(200), 5))
    )
    assert tied.upper - tied.lower == pytest.approx(got.upper - got.lower, rel=0.05)


def test_a_group_without_rows_is_not_treated_alike_but_unknown() -> None:
    """Infinite bounds; arrays of other lengths are refused."""
    nobody = np.zeros(3, dtype=bool)
    got = group_difference([1.0, 2.0, 3.0], nobody, ~nobody, alpha=0.05)
    assert (got.rows, got.lower, got.upper) == (0, -math.inf, math.inf)
    assert got.size == 0.0
    with pytest.raises(ShapeMismatch):
        group_difference([1.0, 2.0], nobody, ~nobody, alpha=0.05)
