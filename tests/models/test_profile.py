"""A profile describes training data in bins that live counts can be added to."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import PackageError
from kairos.models.profile import ColumnProfile, Profile
from kairos.models.signature import ColumnKind
from kairos.values import canonical_json, plain


def test_number_columns_have_bins_moments_and_quantiles() -> None:
    """NaN counts as missing and nowhere else."""
    profile = ColumnProfile.fit("number", np.array([*range(101), math.nan]))
    assert sum(profile.counts) == 102
    assert profile.missing == 1
    assert profile.mean == 50.0
    assert profile.quantiles[3] == 50.0
    assert profile.bins.counts(np.array([-1.0, math.nan, 1e9])).sum() == 3


def test_categories_have_levels_and_counts() -> None:
    """Most frequent first; None is missing."""
    profile = ColumnProfile.fit("category", np.array(["a", "b", "b", None] * 10, dtype=object))
    assert profile.levels == ("b", "a")
    assert profile.counts == (20, 10, 0, 10)
    assert (profile.missing, profile.mean, profile.quantiles) == (10, None, ())


def test_no_value_of_a_text_column_is_kept() -> None:
    """A note may hold somebody's address; only how many are missing is of use."""
    profile = ColumnProfile.fit("text", np.array(["Jane, 3 Elm Street", None], dtype=object))
    assert b"Jane" not in canonical_json(profile)
    assert profile.counts == (1, 1)


def test_booleans_are_counted_as_levels() -> None:
    """A live ``true`` falls in the same cell as a training ``True``."""
    profile = ColumnProfile.fit("boolean", np.array([True, False, True]))
    assert profile.levels == ("true", "false")
    assert profile.bins.counts([True]).tolist() == [1, 0, 0, 0]


def test_a_column_that_is_always_missing_still_has_cells() -> None:
    """A value that turns up later is "other", so that the change can be seen."""
    profile = ColumnProfile.fit("number", np.array([math.nan, math.nan]))
    assert profile.counts == (0, 2)
    assert profile.bins.counts([3.0]).tolist() == [1, 0]


numbers = st.lists(st.floats(-1e15, 1e15) | st.just(math.nan), min_size=1, max_size=40)


@given(numbers)
def test_a_profile_survives_json(values: list[float]) -> None:
    """Through bytes and back, whatever the values."""
    array = np.array(values)
    profile = Profile.fit({"x": ("number", array)}, target=array, prediction=array, prediction_on="train")
    assert Profile.from_plain(json.loads(canonical_json(profile))) == profile
    assert profile.rows == len(values) == sum(profile.columns["x"].counts)


def test_what_is_no_profile_is_a_package_error() -> None:
    """A profile of another format names what is missing."""
    with pytest.raises(PackageError, match="rows"):
        Profile.from_plain(plain({}))


@pytest.mark.parametrize("kind", ["number", "category"])
def test_of_two_hundred_columns_it_is_small(kind: ColumnKind) -> None:
    """Under 200 kB, of numbers without a tie and of categories of many levels."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(200, 2000))
    words = np.char.add("level_", random.integers(0, 200, (200, 2000)).astype(str)).astype(object)
    columns = {f"feature_{i}": (kind, (numbers if kind == "number" else words)[i]) for i in range(200)}
    shares = dict.fromkeys(columns, 1 / 3)
    profile = Profile.fit(
        columns, target=numbers[0], prediction=numbers[1], prediction_on="holdout", importances=shares
    )
    assert 80_000 < len(canonical_json(profile)) < 200_000
