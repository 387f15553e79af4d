"""Exact noise beside opendp's."""

from __future__ import annotations

from random import Random

import numpy as np
from scipy import stats as distributions

from kairos.stats.noise import discrete_laplace
from tests.oracles.oracle import ask


def test_the_noise_is_distributed_as_that_of_opendp() -> None:
    """10,000 draws of each at a scale of 2, in cells: the two histograms differ no more than chance."""
    theirs = np.array(
        ask(
            """
            import opendp.prelude as dp
            dp.enable_features("contrib")
            noise = dp.m.make_laplace(dp.atom_domain(T=int), dp.absolute_distance(T=int), scale=2.0)
            answer = [noise(0) for _ in range(10_000)]
            """
        )
    )
    random = Random(5)
    ours = np.array([discrete_laplace(2, random) for _ in range(10_000)])
    cells = [np.bincount(np.clip(z, -8, 8) + 8, minlength=17) for z in (theirs, ours)]
    assert distributions.chi2_contingency(np.array(cells)).pvalue > 0.001
