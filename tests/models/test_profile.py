"""A profile describes training data in bins that live counts can be added to."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import PackageError
from kairos.models.profile import MOST_PAIRS, ColumnProfile, Profile, ReferenceLosses
from kairos.models.signature import ColumnKind
from kairos.stats.bins import NumberBins
from kairos.values import canonical_json, plain

GOLDEN = Path(__file__).parent.parent / "golden" / "network" / "package"


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


def test_inputs_that_go_together_are_told() -> None:
    """From a rank correlation of 0.5 on; of an input and the target from 0.1; booleans are numbers, text is not."""
    random = np.random.default_rng(0)
    x = random.normal(size=500)
    columns: dict[str, tuple[ColumnKind, np.ndarray[Any, Any]]] = {
        "x": ("number", x),
        "twice": ("number", 2 * x),
        "positive": ("boolean", np.where(x > 0, True, False).astype(object)),
        "noise": ("number", random.normal(size=500)),
        "kind": ("category", np.array(["a", "b"] * 250, dtype=object)),
    }
    found = Profile.fit(columns, target=np.exp(x), prediction=x, prediction_on="train")
    assert found.correlations[0] == ("x", "twice", 1.0)
    assert {(each.one, each.other) for each in found.correlations[1:]} == {("x", "positive"), ("twice", "positive")}
    assert list(found.target_correlations) == ["twice", "x", "positive"]


def test_losses_are_described_if_all_are_numbers() -> None:
    """By their mean and a sketch, and on which rows they are."""
    found = ReferenceLosses.fit(np.array([1.0, 3.0]), loss="absolute_error", on="holdout")
    assert found is not None
    assert (found.mean, found.sketch.rows, found.on) == (2.0, 2, "holdout")
    assert ReferenceLosses.fit(np.array([1.0, math.nan]), loss="absolute_error", on="train") is None
    assert ReferenceLosses.fit(np.array([]), loss="absolute_error", on="train") is None
    x = np.arange(40.0)
    whole = Profile.fit({"x": ("number", x)}, target=x, prediction=x, prediction_on="train", losses=found)
    assert Profile.from_plain(json.loads(canonical_json(whole))) == whole


def test_a_profile_of_before_is_read() -> None:
    """One without sketches, correlations and losses, as it lies in a package that was written then."""
    held = json.loads((GOLDEN / "kairos" / "profile.json").read_bytes())
    assert "correlations" not in held
    found = Profile.from_plain(held)
    assert (found.correlations, found.target_correlations, found.losses) == ((), {}, None)
    assert all(column.sketch is None for column in found.columns.values())
    assert found.columns["temperature"].quantiles


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


def test_of_two_hundred_columns_of_long_levels_it_is_small() -> None:
    """The most frequent ones are named that have room; the first always is, as the example has to have a level."""
    random = np.random.default_rng(0)
    places = random.integers(0, 100, (200, 2000))
    words = np.char.add("ü" * 60, places.astype(str)).astype(object)
    words[0] = np.where(places[0] > 0, "x" * 9_000, "y")
    columns: dict[str, tuple[ColumnKind, np.ndarray[Any, Any]]] = {
        f"feature_{i}": ("category", words[i]) for i in range(200)
    }
    numbers = random.normal(size=2000)
    profile = Profile.fit(columns, target=numbers, prediction=numbers, prediction_on="holdout", importances={})
    assert len(canonical_json(profile)) < 200_000
    named = profile.columns["feature_1"]
    assert 3 <= len(named.levels) < 10
    assert sum(named.counts) == 2000
    assert named.counts[-2] > 1500  # all others
    assert profile.columns["feature_0"].levels == ("x" * 9_000,)


def test_of_two_hundred_columns_that_all_go_together_it_is_small() -> None:
    """Also of large numbers close to each other, whose cuts need many digits."""
    random = np.random.default_rng(0)
    numbers = random.normal(1e6, 1e3, 20_000)[None, :] + random.normal(size=(200, 20_000))
    columns: dict[str, tuple[ColumnKind, np.ndarray[Any, Any]]] = {
        f"feature_{i}": ("number", numbers[i]) for i in range(200)
    }
    losses = ReferenceLosses.fit(np.abs(numbers[0]), loss="absolute_error", on="holdout")
    shares = dict.fromkeys(columns, 1 / 3)
    profile = Profile.fit(
        columns, target=numbers[0], prediction=numbers[1], prediction_on="holdout", importances=shares, losses=losses
    )
    assert len(profile.correlations) == len(profile.target_correlations) == MOST_PAIRS
    assert len(canonical_json(profile)) < 200_000


@given(st.lists(st.floats(-5, 5) | st.integers(-2, 2).map(float) | st.sampled_from([math.nan, math.inf, -math.inf])))
def test_counts_of_ordered_values_are_those_of_any_order(values: list[float]) -> None:
    """Ties, values at edges, infinite and missing ones; of bins that were fitted to others, too."""
    numbers = np.array([*values, 0.5])
    ordered = np.sort(numbers[~np.isnan(numbers)])
    for bins in (NumberBins.fit(numbers), NumberBins.fit([0.0, 0.0, 1.0, 2.0]), NumberBins.fit([1.0])):
        missing = int(np.isnan(numbers).sum())
        assert bins.counts_of_sorted(ordered, missing=missing).tolist() == bins.counts(numbers).tolist()
