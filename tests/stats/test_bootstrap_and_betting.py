"""Any function of truth and prediction by resampling, and few rows of a bounded loss by betting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.bootstrap import paired_bootstrap
from kairos.stats.bounded import betting_lower, paired_bounded
from kairos.stats.dependence import INDEPENDENT, Dependence
from kairos.stats.rmse import paired_rmse

Floats = NDArray[np.float64]
N = 300
RNG = np.random.default_rng(1)
TRUTH = RNG.normal(size=N)
FIRST, SECOND = TRUTH + RNG.normal(size=N), TRUTH + 0.9 * RNG.normal(size=N)


def rmse(truth: Floats, prediction: Floats) -> float:
    return math.sqrt(float(((prediction - truth) ** 2).mean()))


def moves(truth: Floats, prediction: Floats) -> Floats:
    squares = (prediction - truth) ** 2
    return np.asarray((squares - squares.mean()) / (2 * math.sqrt(squares.mean())))


@pytest.mark.parametrize(
    "ties", [INDEPENDENT, Dependence(times=np.arange(N)), Dependence(entities=np.arange(N) // 10)], ids=lambda t: t.name
)
def test_a_function_is_judged_as_its_formula_would_be(ties: Dependence) -> None:
    """Resampling rows, entities or runs of moments gives the delta method's bounds of the RMSE, nearly."""
    formula = paired_rmse(FIRST - TRUTH, SECOND - TRUTH, alpha=0.05, dependence=ties)
    for influence in (None, moves):
        got = paired_bootstrap(
            rmse, TRUTH, FIRST, SECOND, better="lower", alpha=0.05, seed=3, dependence=ties, influence=influence
        )
        assert got.difference == pytest.approx(formula.difference)
        assert got.method == ("bootstrap" if influence is None else "studentised")
        wide = formula.upper - formula.lower
        assert got.lower == pytest.approx(formula.lower, abs=0.12 * wide)
        assert got.upper == pytest.approx(formula.upper, abs=0.12 * wide)
        assert got.own_lower < got.challenger < got.own_upper


def test_the_same_seed_gives_the_same_bounds_and_direction_is_respected() -> None:
    """Where higher is better the difference is turned round."""
    one, two = (
        paired_bootstrap(rmse, TRUTH, FIRST, SECOND, better="lower", alpha=0.05, seed=3, resamples=200)
        for _ in range(2)
    )
    assert one == two

    def skill(truth: Floats, prediction: Floats) -> float:
        return -rmse(truth, prediction)

    turned = paired_bootstrap(skill, TRUTH, FIRST, SECOND, better="higher", alpha=0.05, seed=3, resamples=200)
    assert (turned.lower, turned.upper) == pytest.approx((one.lower, one.upper))


def test_errors_that_last_widen_the_bounds_of_a_function() -> None:
    """A wave of forty rows: blind to time the interval is a fraction of what it has to be."""
    wave = np.repeat(np.random.default_rng(2).normal(size=15), 20)
    prediction = TRUTH + 1.0 + wave
    blind, timely = (
        paired_bootstrap(
            rmse, TRUTH, FIRST, prediction, better="lower", alpha=0.05, seed=1, dependence=ties, resamples=400
        )
        for ties in (INDEPENDENT, Dependence(times=np.arange(N)))
    )
    assert timely.upper - timely.lower > 2 * (blind.upper - blind.lower)
    assert timely.design_effect > 3


def test_a_function_without_a_number_is_refused_by_name() -> None:
    """And columns have to be paired; one row is no knowledge."""

    def broken(truth: Floats, prediction: Floats) -> float:
        return math.nan

    with pytest.raises(UsageError, match="'broken' gives no finite number"):
        paired_bootstrap(broken, TRUTH, FIRST, SECOND, better="lower", alpha=0.05, seed=0)
    with pytest.raises(ShapeMismatch, match="not paired"):
        paired_bootstrap(rmse, TRUTH[:2], FIRST, SECOND, better="lower", alpha=0.05, seed=0)
    single = paired_bootstrap(rmse, TRUTH[:1], FIRST[:1], SECOND[:1], better="lower", alpha=0.05, seed=0)
    assert single.upper == math.inf


def test_moments_that_are_all_one_prove_nothing() -> None:
    """One block is no evidence."""
    same = Dependence(times=np.zeros(N))
    got = paired_bootstrap(rmse, TRUTH, FIRST, SECOND, better="lower", alpha=0.05, seed=0, dependence=same)
    assert (got.p_above(0.0), got.p_below(0.0)) == (1.0, 1.0)


@given(st.lists(st.floats(0, 1), max_size=80), st.sampled_from([0.01, 0.05, 0.2]))
def test_a_bound_by_betting_is_below_the_mean_and_rises_with_alpha(x: list[float], alpha: float) -> None:
    """It is a bound, in [0, 1], and asks for more where less error is allowed."""
    bound = betting_lower(x, alpha)
    assert 0.0 <= bound <= (np.mean(x) if x else 0.0) + 1e-9
    assert betting_lower(x, alpha / 2) <= bound + 1e-9


def test_a_bound_by_betting_never_misses_too_often_where_a_t_interval_does() -> None:
    """Twenty rows of which most are 0 and a few are 1: at most 5 % miss; of the t intervals 12 % and more."""
    rng = np.random.default_rng(5)
    samples = (rng.uniform(size=(2000, 20)) < 0.05).astype(np.float64)
    mean, error = samples.mean(axis=1), samples.std(axis=1, ddof=1) / math.sqrt(20)
    assert np.mean(mean + 1.729 * error < 0.05) > 0.12
    upper = [1 - betting_lower(1 - one, 0.05) for one in samples]
    assert np.mean(np.array(upper) < 0.05) <= 0.05


def test_bounded_losses_have_bounds_in_their_own_unit() -> None:
    """Twice the loss, twice the bounds; beyond the stated largest loss nothing is believed."""
    rng = np.random.default_rng(6)
    a, b = rng.uniform(size=120), 0.7 * rng.uniform(size=120)
    one, two = paired_bounded(a, b, largest=1.0, alpha=0.05), paired_bounded(2 * a, 2 * b, largest=2.0, alpha=0.05)
    assert one.method == "betting"
    assert one.lower < one.difference < one.upper
    assert (two.lower, two.upper) == pytest.approx((2 * one.lower, 2 * one.upper))
    assert one.p_above(one.lower) == pytest.approx(0.05, abs=1e-6)
    with pytest.raises(UsageError, match="outside its stated range"):
        paired_bounded([1.5], [0.5], largest=1.0, alpha=0.05)
    with pytest.raises(UsageError, match="not positive"):
        paired_bounded([0.5], [0.5], largest=0.0, alpha=0.05)
    assert paired_bounded([], [], largest=1.0, alpha=0.05).upper == math.inf
