"""The noise has the distribution that it promises, and one person more or less hardly shows (S18)."""

from __future__ import annotations

from fractions import Fraction

import pytest

from benchmarks.decisions.once import most_favoured, noise_p_value
from kairos.stats.noise import noise_variance

DRAWS = 20_000


@pytest.mark.parametrize("scale", ["1/2", "1", "7/3"])
def test_the_noise_has_the_shape_of_the_formula(scale: str) -> None:
    """20,000 draws in cells from -3 to 3 scales, by chi-squared; and their variance."""
    p_value, variance = noise_p_value(scale, DRAWS)
    assert p_value > 0.001
    assert variance == pytest.approx(noise_variance(1 / float(Fraction(scale))), rel=0.06)


def test_one_person_more_changes_no_chance_by_more_than_the_factor() -> None:
    """20,000 releases of 10 rows and of 11, for each outcome seen 100 times: within e^eps and three standard errors."""
    excess, outcomes = most_favoured(0.5, DRAWS)
    assert outcomes >= 10
    assert excess <= 3
