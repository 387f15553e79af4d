"""Boundaries for sums, with the values of confseq's own unit tests, which are of a reference implementation in R."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.stats.boundaries import BetaBinomial, GammaPoisson, Mixture, NormalMixture, bound, normal_rho
from kairos.stats.stitching import distribution_band, polynomial_bound, quantile_rank_bound

MIXTURES: list[tuple[Mixture, float, float]] = [
    (NormalMixture(v_opt=100, sides=2), -0.6510052, 30.35209),
    (NormalMixture(v_opt=100, sides=1), -0.06502391, 27.66071),
    (GammaPoisson(v_opt=100, c=2), -0.06991219, 30.1949),
    (BetaBinomial(v_opt=100, g=0.2, h=0.8, sides=2), -0.6941012, 31.4308),
    (BetaBinomial(v_opt=100, g=0.2, h=0.8, sides=1), -0.07134019, 28.41238),
]


@pytest.mark.parametrize(("mixture", "log_e", "reach"), MIXTURES)
def test_mixtures_and_their_bounds_are_the_pinned_ones(mixture: Mixture, log_e: float, reach: float) -> None:
    """At a sum of 10 above expectation and an intrinsic time of 100; and the bound at 5 %."""
    assert float(mixture.log_e(10.0, 100.0)) == pytest.approx(log_e, abs=1e-6)
    assert float(bound(mixture, 100.0, 0.05)) == pytest.approx(reach, abs=1e-4)


def test_normal_bounds_are_pinned_early_and_late() -> None:
    """A tenth of the tuned time and ten times it; and the precision of the prior."""
    for sides, early, late in ((2, 12.190753, 102.512287), (1, 11.492682, 94.393916)):
        mixture = NormalMixture(v_opt=100, sides=2 if sides == 2 else 1)
        assert bound(mixture, [10.0, 1000.0], 0.05) == pytest.approx([early, late], abs=1e-5)
    assert normal_rho(100, 0.05, 2) == pytest.approx(12.60056, abs=1e-5)


def test_a_bound_that_cannot_be_reached_is_the_largest_possible_sum() -> None:
    """Two values of 20 % chance: even two successes prove nothing yet."""
    assert float(bound(BetaBinomial(v_opt=100, g=0.2, h=0.8), 2 * 0.2 * 0.8, 0.05)) == pytest.approx(1.6, abs=1e-9)


def test_stitched_boundaries_are_the_pinned_ones() -> None:
    """Polynomial with heavy and light tails; the whole distribution; all quantiles together."""
    assert float(polynomial_bound(100.0, alpha=0.05, v_min=10, c=3)) == pytest.approx(64.48755, abs=1e-5)
    assert float(polynomial_bound(100.0, alpha=0.05, v_min=10, c=-1)) == pytest.approx(28.99389, abs=1e-5)
    assert float(distribution_band(1000.0, alpha=0.05, t_min=100)) == pytest.approx(0.08204769, abs=1e-6)
    for p, ranks in ((0.5, 68.62803), (0.9, 43.72119), (0.1, 59.96521)):
        assert float(quantile_rank_bound(p, 1000.0, alpha=0.05, t_opt=100)) == pytest.approx(ranks, abs=1e-5)


def test_a_band_says_nothing_before_its_time() -> None:
    """Infinite before ``t_min``, finite from then on."""
    assert distribution_band([99.0, 100.0], alpha=0.05, t_min=100).tolist()[0] == math.inf
    assert math.isfinite(distribution_band(100.0, alpha=0.05, t_min=100))


@pytest.mark.parametrize("mixture", [mixture for mixture, _, _ in MIXTURES])
@given(v=st.floats(0.5, 1e5), alpha=st.floats(1e-6, 0.3))
def test_a_bound_is_where_the_mixture_reaches_one_over_alpha(mixture: Mixture, v: float, alpha: float) -> None:
    """Just below it the evidence is too little, unless the bound is the largest possible sum; at it, enough."""
    reach = float(bound(mixture, v, alpha))
    target = math.log(1 / alpha)
    assert float(mixture.log_e(reach * (1 - 1e-6), v)) < target
    if reach < float(mixture.furthest(np.array(v))) * (1 - 1e-9):
        assert float(mixture.log_e(reach * (1 + 1e-6), v)) >= target


def test_what_cannot_be_tuned_is_refused() -> None:
    """A time of 0, a chance of 1, a quantile of 1, a band without height."""
    with pytest.raises(UsageError, match="tuned"):
        bound(NormalMixture(v_opt=0), 1.0, 0.05)
    with pytest.raises(UsageError, match="alpha"):
        bound(NormalMixture(v_opt=1), 1.0, 1.0)
    with pytest.raises(UsageError, match="v_min"):
        polynomial_bound(1.0, alpha=0.05, v_min=0)
    with pytest.raises(UsageError, match="band"):
        distribution_band(1.0, alpha=0.05, t_min=1, a=0.5)
    with pytest.raises(UsageError, match="quantile"):
        quantile_rank_bound(1.0, 10.0, alpha=0.05, t_opt=10)
