"""Features that tell the target without being equal to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch
from kairos.stats.disguises import find_disguises


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([np.exp, np.cbrt, np.arctan]))
def test_any_growing_function_of_the_target_is_found(seed: int, scale: np.ufunc) -> None:
    """Rising or falling, in any order of the rows, also where some are missing."""
    noise = np.random.default_rng(seed)
    y = noise.normal(size=200)
    x = -scale(y)
    x[noise.random(200) < 0.2] = np.nan
    (found,) = find_disguises({"x": x}, y)
    assert (found.column, found.sure) == ("x", "certain")
    assert found.rows == np.isfinite(x).sum()


@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(2, 6))
def test_other_names_of_the_targets_values_are_found(seed: int, levels: int) -> None:
    """Whatever they are called."""
    noise = np.random.default_rng(seed)
    y = noise.integers(0, levels, 120)
    names = np.array([f"level {n}" for n in noise.permutation(levels)], dtype=object)
    found = find_disguises({"x": names[y]}, y)
    assert [one.sure for one in found] == ["certain"]


def test_an_identifier_that_knows_its_target_is_possible_only() -> None:
    """Each customer has one answer: it may be a leak, and it may be the nature of the thing."""
    noise = np.random.default_rng(0)
    answers = noise.random(40) < 0.5
    customer = noise.integers(0, 40, 400)
    (found,) = find_disguises({"customer": customer}, answers[customer])
    assert found.sure == "possible"


def test_few_rows_prove_nothing() -> None:
    """Under 20, or under half of all."""
    y = np.arange(19.0)
    assert find_disguises({"x": y**3}, y) == []
    y = np.arange(100.0)
    assert find_disguises({"x": np.where(y < 45, y**3, np.nan)}, y) == []


def test_arrays_have_to_be_paired() -> None:
    """The feature is named."""
    with pytest.raises(ShapeMismatch, match="'x'"):
        find_disguises({"x": np.zeros(3)}, np.zeros(4))
