"""Noise that hides one person, and the budget that it draws on."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date, timedelta
from fractions import Fraction
from random import Random, SystemRandom

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.budget import PrivacyBudget, Release
from kairos.stats.noise import clamped_counts, discrete_laplace, exact, noise_variance, noisy_counts, noisy_levels


@given(st.integers(-10, 10))
def test_seeded_noise_is_the_same_again(seed: int) -> None:
    """For tests; people are protected by a source that nobody can seed."""
    first, again = Random(seed), Random(seed)
    assert [discrete_laplace(2, first) for _ in range(5)] == [discrete_laplace(2, again) for _ in range(5)]
    assert isinstance(discrete_laplace("3/2", SystemRandom()), int)


def test_numbers_count_as_they_are_written() -> None:
    """A float is the decimal that was typed, so ten tenths are one."""
    assert exact("eps", 0.1) * 10 == exact("eps", 1) == exact("eps", "1/1")
    for bad in (0, -1, "x", float("nan"), "1/0"):
        with pytest.raises(UsageError, match="eps"):
            exact("eps", bad)


def test_noisy_counts_say_what_they_cost() -> None:
    """Counts stay near the truth, may be negative, and carry eps and the variance of the noise."""
    found = noisy_counts(np.array([0, 500, 1000]), eps=0.5, random=Random(1), rows_per_person=2)
    assert found.eps == Fraction(1, 2)
    assert found.variance == pytest.approx(noise_variance(0.25))
    assert all(abs(a - b) < 60 for a, b in zip(found.counts, (0, 500, 1000), strict=True))
    assert any(count < 0 for seed in range(20) for count in noisy_counts([0], eps=1, random=Random(seed)).counts)
    assert found.rows_per_cell == 200
    assert noise_variance(1) == pytest.approx(1.84, abs=0.005)
    for bad in ([0.5], [-1], [[1]]):
        with pytest.raises(UsageError):
            noisy_counts(bad, eps=1, random=Random(0))


def test_a_person_with_many_rows_counts_for_few() -> None:
    """Clamping drops the later rows, and a histogram of two persons never differs by more than the clamp."""
    persons, cells = ["a"] * 5 + ["b"], [0, 1, 1, 2, 2, 2]
    with_a = clamped_counts(persons, cells, width=3, most=2)
    without = clamped_counts(persons[5:], cells[5:], width=3, most=2)
    assert (with_a.tolist(), int(np.abs(with_a - without).sum())) == ([1, 1, 1], 2)
    with pytest.raises(ShapeMismatch):
        clamped_counts(["a"], [0, 1], width=2, most=1)
    with pytest.raises(UsageError):
        clamped_counts(["a"], [2], width=2, most=1)


def test_a_level_that_one_person_has_is_hardly_ever_told() -> None:
    """At a delta of 1 %, in at most 1 % of 2,000 releases; a level of many is always told."""
    told = Counter[str]()
    random = Random(2)
    for _ in range(2000):
        told.update(noisy_levels({"rare": 1, "common": 500}, eps=1, delta=0.01, random=random).keys())
    assert told["rare"] <= 2000 * 0.01 + 3 * math.sqrt(20)
    assert told["rare"] > 0  # the bar is not simply out of reach
    assert told["common"] == 2000
    assert noisy_levels({"none": 0}, eps=1, delta=0.5, random=random) == {}


DAY = date(2012, 1, 1)


def test_a_budget_adds_up_exactly_and_refuses_the_last_drop() -> None:
    """Ten releases of a tenth fit into one, the eleventh does not, and the budget that refused is unchanged."""
    budget = PrivacyBudget.of(1, "1e-6")
    for number in range(10):
        budget = budget.charge(Release(name="hours", day=DAY + timedelta(days=number), eps=exact("eps", 0.1)))
    assert budget.left_eps == 0
    with pytest.raises(UsageError, match=r"eps 101/100, delta 0 in all.*eps 1, delta 1/1000000"):
        budget.charge(Release(name="late", day=DAY, eps=exact("eps", 0.01)))
    with pytest.raises(UsageError, match="delta"):
        PrivacyBudget.of(1).charge(Release(name="levels", day=DAY, eps=Fraction(1), delta=Fraction(1, 10**9)))
    assert len(budget.releases) == 10


def test_days_that_share_no_person_do_not_add_up() -> None:
    """The dearest day counts, and two releases of one day still add up."""
    budget = PrivacyBudget.of(1, a_person_is_in_one_day=True)
    for number in range(5):
        budget = budget.charge(Release(name="a", day=DAY + timedelta(days=number), eps=Fraction(1)))
    assert budget.spent == (Fraction(1), Fraction(0))
    with pytest.raises(UsageError):
        budget.charge(Release(name="b", day=DAY, eps=Fraction(1, 1000)))
