"""Weights that make old rows look like new ones, and what several estimators say together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.stats.arrays import Floats
from kairos.stats.shift import joint_estimate, shift_weights


def test_weights_move_the_mean_of_the_reference_to_that_of_the_new_rows() -> None:
    """With the exact chances of two normal distributions, whatever the number of rows of each."""
    rng = np.random.default_rng(1)
    old, new = rng.normal(0, 1, 20_000), rng.normal(0.5, 1, 5_000)

    def chance(x: Floats) -> Floats:
        odds = 0.25 * np.exp(0.5 * x - 0.125)
        return odds / (1 + odds)

    found = shift_weights(chance(old), chance(new))
    assert np.average(old, weights=found.weights) == pytest.approx(0.5, abs=0.03)
    assert found.weights.mean() == pytest.approx(1.0)
    assert found.is_sound
    assert found.effective_share == pytest.approx(np.exp(-0.25), abs=0.03)


def test_rows_without_counterpart_and_weights_of_few_rows_are_no_basis() -> None:
    """New rows that no old one resembles, or all weight on one row in ten."""
    assert not shift_weights([0.5] * 100, [0.5] * 95 + [0.99] * 5).is_sound
    assert not shift_weights([0.01] * 90 + [0.9] * 10, [0.5] * 100).is_sound
    same = shift_weights([0.2] * 400, [0.2] * 100)
    assert (same.effective_share, same.uncovered_share, same.is_sound) == (1.0, 0.0, True)


def test_weights_need_rows_and_chances() -> None:
    """None of one kind, or a chance of 1.2, is refused."""
    with pytest.raises(UsageError, match="rows of both kinds"):
        shift_weights([], [0.5])
    with pytest.raises(UsageError, match="outside"):
        shift_weights([0.5], [1.2])


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(0.01, 5)), min_size=1, max_size=4))
def test_the_joint_interval_holds_every_estimate(pairs: list[tuple[float, float]]) -> None:
    """And is as wide as the widest of them alone."""
    values, errors = [value for value, _ in pairs], [error for _, error in pairs]
    found = joint_estimate(values, errors)
    assert found.lower < min(values) <= found.value <= max(values) < found.upper
    assert found.upper - found.lower >= 2 * 1.95 * max(errors)


def test_estimates_need_errors() -> None:
    """A standard error of 0 would be certainty out of nothing."""
    with pytest.raises(UsageError, match="do not fit"):
        joint_estimate([0.9], [0.0])
    with pytest.raises(UsageError, match="do not fit"):
        joint_estimate([], [])
