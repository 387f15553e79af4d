"""Bounds and bets at every look beside ville."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kairos.stats.asymptotic import asymptotic_path, msprt_log_e
from kairos.stats.bernstein import bernstein_path
from kairos.stats.boundaries import NormalMixture, bound
from kairos.stats.hedged import hedged_interval
from tests.oracles.oracle import ask

X = (np.arange(1, 1001) * (math.sqrt(5) - 1) / 2) % 1


def test_bounds_of_a_mean_are_those_of_ville() -> None:
    """Empirical Bernstein at every value, the asymptotic sequence where both speak, and the mixture ratio."""
    theirs = ask(
        """
        from ville import AsymptoticCS, EmpiricalBernsteinCS, MSPRT
        bernstein = EmpiricalBernsteinCS(intersect=False)
        asymptotic = AsymptoticCS(t_opt=100)
        ratio = MSPRT(theta0=0.4, sigma=0.3, tau=0.1)
        answer = {
            "bernstein": bernstein._process(np.array(x))[1:],
            "asymptotic": asymptotic._process(np.array(x))[1:],
            "ratio": ratio._process(np.array(x)),
        }
        answer["bernstein"] = [list(each) for each in answer["bernstein"]]
        answer["asymptotic"] = [list(each[99:]) for each in answer["asymptotic"]]
        """,
        x=X,
    )
    _, lower, upper = bernstein_path(X, lower=0, upper=1, alpha=0.05)
    assert np.allclose([lower, upper], theirs["bernstein"], atol=1e-9)
    _, lower, upper = asymptotic_path(X, alpha=0.05, t_opt=100)
    assert np.allclose([lower[99:], upper[99:]], theirs["asymptotic"], atol=1e-5)  # they search for the best width
    assert msprt_log_e(X, null_mean=0.4, tau=0.1, sd=0.3) == pytest.approx(theirs["ratio"], abs=1e-9)


def test_the_normal_mixture_is_that_of_ville() -> None:
    """One-sided and two-sided bounds at a given precision of the prior."""
    ours = {sides: NormalMixture(v_opt=100, sides=1 if sides == 1 else 2) for sides in (1, 2)}
    theirs = ask(
        """
        from ville import normal_mixture
        of = lambda rho, one_sided: normal_mixture(np.array(v), 0.05, rho, one_sided=one_sided)
        answer = [of(rhos[0], True), of(rhos[1], False)]
        """,
        v=[10.0, 100.0, 1000.0],
        rhos=[ours[1].rho, ours[2].rho],
    )
    for sides, expected in zip((1, 2), theirs, strict=True):
        assert bound(ours[sides], [10.0, 100.0, 1000.0], 0.05) == pytest.approx(expected, abs=1e-6)


def test_hedged_bets_are_those_of_ville() -> None:
    """Its bounds are on a grid of 10,000 means, and widened to it."""
    theirs = ask(
        """
        from ville import BettingCS
        _, lower, upper = BettingCS(intersect=False)._process(np.array(x))
        answer = [[lower[n - 1], upper[n - 1]] for n in looks]
        """,
        x=X,
        looks=[100, 300, 1000],
    )
    for n, told in zip([100, 300, 1000], theirs, strict=True):
        ours = hedged_interval(X[:n], lower=0, upper=1, alpha=0.05)
        assert [ours.lower, ours.upper] == pytest.approx(told, abs=3e-4)
