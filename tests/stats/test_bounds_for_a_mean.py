"""Bounds for a steady mean: pinned on one deterministic sequence, and their laws."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import lambertw

from kairos.errors import UsageError
from kairos.stats.asymptotic import asymptotic_path, informative, msprt_log_e
from kairos.stats.bernstein import bernstein_path, bernstein_upper, hoeffding_path
from kairos.stats.hedged import hedged_interval, hedged_log_e_path

Floats = NDArray[np.float64]
X = (np.arange(1, 1001) * (math.sqrt(5) - 1) / 2) % 1
SERIES = {"even": X, "skewed": X**3, "rare": (X < 0.05).astype(np.float64)}
LOOKS = (100, 1000)
Bounds = list[tuple[float, float]]


def at_looks(path: tuple[Floats, Floats, Floats]) -> Bounds:
    return [(float(path[1][t - 1]), float(path[2][t - 1])) for t in LOOKS]


def is_close(found: Bounds, expected: Bounds, tolerance: float) -> bool:
    return bool(np.allclose(found, expected, rtol=0, atol=tolerance))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("even", [(0.393188, 0.607959), (0.467038, 0.532892)]),
        ("skewed", [(0.143217, 0.355412), (0.217627, 0.282283)]),
    ],
)
def test_empirical_bernstein_bounds_are_those_of_ville(name: str, expected: Bounds) -> None:
    """The regularised mean in both places, as in the paper."""
    assert is_close(at_looks(bernstein_path(SERIES[name], lower=0, upper=1, alpha=0.05)), expected, 1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("even", [(0.391402, 0.608824), (0.466631, 0.533089)]),
        ("skewed", [(0.143210, 0.357475), (0.217625, 0.282746)]),
        ("rare", [(0.0, 0.146581), (0.026139, 0.075950)]),
    ],
)
def test_with_a_plain_centre_they_are_those_of_confseq(name: str, expected: Bounds) -> None:
    """confseq measures the spread from the mean of the values alone; both are valid."""
    path = bernstein_path(SERIES[name], lower=0, upper=1, alpha=0.05, centre="plain")
    assert is_close(at_looks(path), expected, 1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("even", [(0.348876, 0.652419), (0.438972, 0.561244)]),
        ("skewed", [(0.096139, 0.399682), (0.188113, 0.310386)]),
        ("rare", [(0.0, 0.201473), (0.0, 0.111284)]),
    ],
)
def test_hoeffding_bounds_are_those_of_confseq(name: str, expected: Bounds) -> None:
    """They know nothing of the spread, and are wider."""
    assert is_close(at_looks(hoeffding_path(SERIES[name], lower=0, upper=1, alpha=0.05)), expected, 1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("even", [(0.417, 0.585), (0.468, 0.532)]),
        ("skewed", [(0.169, 0.338), (0.216, 0.281)]),
        ("rare", [(0.001, 0.136), (0.029, 0.076)]),
    ],
)
def test_hedged_bounds_are_those_of_confseq(name: str, expected: Bounds) -> None:
    """Within the grid of 1,000 means on which confseq searches."""
    found = [hedged_interval(SERIES[name][:t], lower=0, upper=1, alpha=0.05) for t in LOOKS]
    assert is_close([(each.lower, each.upper) for each in found], expected, 1.001e-3)


def test_hedged_money_is_that_of_confseq() -> None:
    """Against 0.30 it grows to two thousand, against the true 0.25 it melts away."""
    for m, pins in ((0.30, (1.856006, 1858.10)), (0.25, (0.0859502, 0.0166102))):
        money = np.exp(hedged_log_e_path(SERIES["skewed"], null_mean=m, lower=0, upper=1))
        assert (money[99], money[999]) == pytest.approx(pins, rel=1e-5)


def test_a_hedged_interval_holds_the_means_that_made_nobody_rich() -> None:
    """Just inside the bounds the money is below 1 / alpha, just outside it is not; also on another scale."""
    x = 10 * SERIES["skewed"][:300] - 4
    found = hedged_interval(x, lower=-4, upper=6, alpha=0.05)
    for end, outwards in ((found.lower, -1e-6), (found.upper, 1e-6)):
        money = [hedged_log_e_path(x, null_mean=end + side * outwards, lower=-4, upper=6)[-1] for side in (-1, 1)]
        assert money[0] < math.log(20) <= money[1] + 1e-4


@pytest.mark.parametrize("path", [bernstein_path, hoeffding_path])
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(-50, 50), st.floats(0.1, 50))
def test_bounds_move_and_stretch_with_the_unit(
    path: Callable[..., tuple[Floats, Floats, Floats]], x: list[float], lower: float, scale: float
) -> None:
    """Degrees or thousandths: the bounds are the same ones, and hold the mean so far."""
    plain = path(x, lower=0, upper=1, alpha=0.1)
    values = np.clip(lower + scale * np.asarray(x), lower, lower + scale)
    moved = path(values, lower=lower, upper=lower + scale, alpha=0.1)
    for one, other in zip(plain, moved, strict=True):
        assert np.allclose(lower + scale * one, other, atol=1e-6 * scale)
    assert (plain[1] <= plain[2] + 1e-12).all()


def test_no_values_say_nothing() -> None:
    """The whole range, not a guess."""
    nothing = hedged_interval([], lower=-1, upper=1, alpha=0.05)
    assert (nothing.lower, nothing.upper) == (-1, 1)
    assert bernstein_upper([], lower=0, upper=2, alpha=0.05) == 2
    assert bernstein_path([], lower=0, upper=1, alpha=0.05)[0].size == 0


def test_values_outside_their_range_are_refused() -> None:
    """A range that does not hold voids the promise."""
    for refuses in (bernstein_path, hoeffding_path, hedged_interval, bernstein_upper):
        with pytest.raises(UsageError, match="outside its stated range"):
            refuses([0.5, 1.5], lower=0, upper=1, alpha=0.05)
    with pytest.raises(UsageError, match="null mean"):
        hedged_log_e_path([0.5], null_mean=1.0, lower=0, upper=1)


def test_a_bound_for_one_look_errs_rarely_for_rare_losses() -> None:
    """200 rows at a rate of 1 %, where a normal bound is below the truth in 13 % of the cases: at most 5 %."""
    rows = (np.random.default_rng(0).uniform(size=(1000, 200)) < 0.01) * 1.0
    missed = np.mean([bernstein_upper(one, lower=0, upper=1, alpha=0.05) < 0.01 for one in rows])
    assert missed <= 0.05


def test_asymptotic_bounds_are_those_of_ville() -> None:
    """Tuned to 100 values, after 1,000; and the constant of the method."""
    _, lower, upper = asymptotic_path(X, alpha=0.05, t_opt=100)
    assert (lower[-1], upper[-1]) == pytest.approx((0.470365, 0.529658), abs=1e-6)


def test_asymptotic_bounds_refuse_to_speak_of_rates_before_fifty_events() -> None:
    """One event in a hundred: nothing before the fiftieth, whichever of the two values is the rare one."""
    x = (np.arange(1, 6001) % 100 == 0) * 1.0
    for values in (x, 1 - x, 7.5 + 3 * x):
        _, lower, upper = asymptotic_path(values, alpha=0.05, t_opt=1000)
        assert np.flatnonzero(np.isfinite(upper))[0] == np.flatnonzero(np.isfinite(lower))[0] == 4999


def test_mostly_zeros_count_as_a_rate() -> None:
    """Amounts that are 0 for most: fifty that are not are needed, and a hundred values in any case."""
    assert not informative(np.r_[np.zeros(900), np.arange(1.0, 50)]).any()
    assert informative(np.r_[np.zeros(900), np.arange(1.0, 51)])[-1]
    assert np.flatnonzero(informative(X))[0] == 99
    assert informative(np.empty(0)).size == 0


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=1, max_size=300), st.integers(1, 300))
def test_what_was_said_is_not_taken_back_by_later_values(x: list[float], n: int) -> None:
    """The path over the first values is the beginning of the path over all of them."""
    whole, part = (asymptotic_path(values, alpha=0.05, t_opt=50) for values in (x, x[:n]))
    for one, other in zip(whole, part, strict=True):
        assert np.allclose(one[: len(x[:n])], other)


def test_the_mixture_ratio_is_the_asymptotic_interval_in_the_form_of_a_test() -> None:
    """With the plugged-in spread, a mean is left out when the ratio reaches 1 / alpha; pinned for a known spread."""
    rho2 = float(-lambertw(-(0.05**2) / math.e, -1).real - 1) / 100
    assert rho2 == pytest.approx(0.08212, abs=1e-5)
    _, lower, _ = asymptotic_path(X, alpha=0.05, t_opt=100)
    sd = float(np.std(X, ddof=1))
    found = msprt_log_e(X, null_mean=float(lower[-1]), tau=sd * math.sqrt(rho2))
    assert found[-1] == pytest.approx(math.log(20), abs=1e-9)
    known = msprt_log_e([1.0, 1.0, 1.0, 1.0], null_mean=0.0, tau=1.0, sd=1.0)
    assert known[-1] == pytest.approx(0.5 * math.log(1 / 5) + 16 / 10)
