"""The noise has the distribution that it promises, and one person more or less hardly shows."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from scipy import stats as distributions

from kairos.stats.noise import discrete_laplace, noise_variance, noisy_counts

DRAWS = 20_000


@pytest.mark.parametrize("scale", ["1/2", "1", "7/3"])
def test_the_noise_has_the_shape_of_the_formula(scale: str) -> None:
    """20,000 draws in cells from -6 to 6 scales, by chi-squared; and their variance."""
    random, spread = Random(3), float(Fraction(scale))
    z = np.array([discrete_laplace(scale, random) for _ in range(DRAWS)])
    edge = math.ceil(3 * spread)
    inside = np.arange(-edge, edge + 1)
    a = math.exp(-1 / spread)
    chances = (1 - a) / (1 + a) * a ** np.abs(inside)
    seen = [*((z == value).sum() for value in inside), (np.abs(z) > edge).sum()]
    assert distributions.chisquare(seen, np.append(chances, 1 - chances.sum()) * DRAWS).pvalue > 0.001
    assert z.var() == pytest.approx(noise_variance(1 / spread), rel=0.06)


def test_one_person_more_changes_no_chance_by_more_than_the_factor() -> None:
    """20,000 releases of 10 rows and of 11, for each outcome seen 100 times: within e^eps and three standard errors."""
    eps, random = 0.5, Random(4)
    without = np.array([noisy_counts([10], eps=eps, random=random).counts[0] for _ in range(DRAWS)])
    with_one = np.array([noisy_counts([11], eps=eps, random=random).counts[0] for _ in range(DRAWS)])
    looked_at = 0
    for value in range(0, 21):
        a, b = int((without == value).sum()), int((with_one == value).sum())
        if min(a, b) >= 100:
            looked_at += 1
            assert abs(math.log(a / b)) <= eps + 3 * math.sqrt(1 / a + 1 / b)
    assert looked_at >= 10
