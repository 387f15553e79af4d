"""Means watched at every value: confidence sequence, betting and the detector."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kairos.errors import UsageError
from kairos.stats.betting import betting_log_e, betting_path
from kairos.stats.detector import e_sr
from kairos.stats.sequence import gamma_exponential_bound, gamma_exponential_log_e, mean_path, mean_sequence


def test_the_mixture_agrees_with_the_published_implementation() -> None:
    """Log mixture and bounds of confseq's own unit tests (v_opt = 100, alpha = 0.05)."""
    assert float(gamma_exponential_log_e(10, 100, c=2, v_opt=100, alpha=0.05)) == pytest.approx(-0.2490165, abs=1e-6)
    assert float(gamma_exponential_bound([100], c=2, v_opt=100, alpha=0.05)[0]) == pytest.approx(33.02017, abs=1e-5)
    bounds = gamma_exponential_bound([10, 100, 1000], c=1, v_opt=100, alpha=0.05)
    assert bounds.tolist() == pytest.approx([13.447229, 30.238128, 98.135564], rel=1e-6)


def test_the_last_bounds_are_the_end_of_the_path() -> None:
    """One value at a time or all at once: the same bounds, and they do not depend on the unit of the values."""
    x = np.random.default_rng(0).beta(2, 5, 300)
    mean, lower, upper = mean_path(x, lower=0, upper=1, alpha=0.05)
    last = mean_sequence(x, lower=0, upper=1, alpha=0.05)
    assert (last.n, last.mean, last.lower, last.upper) == pytest.approx((300, mean[-1], lower[-1], upper[-1]))
    scaled = mean_sequence(1000 * x - 500, lower=-500, upper=500, alpha=0.05)
    assert (scaled.lower, scaled.upper) == pytest.approx((1000 * last.lower - 500, 1000 * last.upper - 500))
    assert lower[0] == 0.0
    assert upper[-1] - lower[-1] < 0.15


def test_without_values_the_mean_is_anywhere_in_its_range() -> None:
    """No data is no knowledge: the whole range, not a zero-width interval."""
    nothing = mean_sequence([], lower=-1, upper=1, alpha=0.05)
    assert (nothing.n, nothing.lower, nothing.upper) == (0, -1, 1)
    assert betting_log_e([], null_mean=0.0, lower=-1, upper=1) == 0.0
    assert e_sr([], 0.5).last == -math.inf


def test_bets_follow_the_formula() -> None:
    """Three values by hand: bets 0, then from the running mean and variance, cut at half the capital."""
    path = betting_path([1.0, 1.0, 0.0], null_mean=0.5, lower=0, upper=1)
    second = 0.25 / ((0.25 + 0.0625) / 2 + 0.25**2)  # mean 3/4, variance (1/4 + (1/4)^2) / 2
    assert second > 1.0
    assert path.tolist() == pytest.approx([0.0, math.log(1.5), math.log(1.5) + math.log(0.5)])


def test_betting_sees_what_is_there_and_only_on_its_side() -> None:
    """Harm is found upwards, improvement downwards; each is nil on the other side."""
    x = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], size=2000, p=[0.02, 0.90, 0.08])
    assert betting_log_e(x, null_mean=0.0, lower=-1, upper=1) > math.log(20)
    assert betting_log_e(x, null_mean=0.0, lower=-1, upper=1, side="less") <= 0
    assert betting_log_e(-x, null_mean=0.0, lower=-1, upper=1, side="less") == pytest.approx(
        betting_log_e(x, null_mean=0.0, lower=-1, upper=1)
    )


def test_the_detector_follows_its_recursion() -> None:
    """M = L (M + 1), averaged over the bets."""
    got = e_sr([0.5, 0.0], 0.25).log_m
    want = [0.0, 0.0]
    for bet in (0.05, 0.1, 0.2, 0.4):
        first = (1 + bet / 0.25 * 0.25) * 1
        want[0] += first / 4
        want[1] += (1 - bet) * (first + 1) / 4
    assert np.exp(got).tolist() == pytest.approx(want)


def test_the_detector_alarms_after_a_rise_and_stays_quiet_before() -> None:
    """A daily mean loss that doubles is noticed within days; one wild day is cut at the upper end."""
    rng = np.random.default_rng(2)
    quiet, loud = rng.gamma(20, 1, 200), rng.gamma(20, 2, 60)
    path = e_sr(np.concatenate([quiet, loud]), 24.0, lower=0, upper=100)
    alarm = path.first_alarm(180)
    assert alarm is not None
    assert 200 <= alarm <= 220
    assert e_sr([1e9], 24.0, lower=0, upper=100).last == e_sr([100.0], 24.0, lower=0, upper=100).last
    both = e_sr(np.stack([quiet, quiet]), 24.0, lower=0, upper=100)
    assert both.log_m.shape == (2, 200)
    with pytest.raises(UsageError):
        both.first_alarm(180)


def test_values_outside_the_stated_range_are_refused() -> None:
    """A broken bound would void the guarantee, so it is an error with a hint."""
    with pytest.raises(UsageError, match="Clip"):
        mean_sequence([0.5, 1.5], lower=0, upper=1, alpha=0.05)
    with pytest.raises(UsageError, match="null mean"):
        betting_log_e([0.5], null_mean=0.0, lower=0, upper=1)
    with pytest.raises(UsageError, match="watched"):
        e_sr([-0.1], 0.5)
    with pytest.raises(UsageError, match="tuned"):
        mean_sequence([0.5], lower=0, upper=1, alpha=0.05, v_opt=0)
    with pytest.raises(UsageError, match="tolerated"):
        e_sr([0.1], 1.0)
    with pytest.raises(UsageError, match="bet"):
        e_sr([0.1], 0.5, bets=(1.0,))
