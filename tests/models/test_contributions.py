"""Contributions add up to the answer, and are Shapley's, whichever way they are found."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor

from kairos.models.contributions import contributions, tree_contributions
from kairos.models.trees import FlatTrees, flatten

RNG = np.random.default_rng(5)
X = RNG.normal(size=(400, 5)).round(1)
X[RNG.random(X.shape) < 0.1] = np.nan
Y = np.nansum(X, axis=1) + np.nan_to_num(X[:, 0] * X[:, 1]) + (np.nan_to_num(X[:, 2]) > 0)
NAMES = tuple("abcde")


def _trees(**how: Any) -> FlatTrees:
    found = flatten(HistGradientBoostingRegressor(random_state=0, **how).fit(X, Y), "predict")
    assert found is not None
    return found


TREES = _trees(max_iter=10, max_depth=3)
DEEP = _trees(max_iter=3, max_depth=8, min_samples_leaf=2)

values = st.lists(st.one_of(st.floats(-3, 3).map(lambda x: round(x, 1)), st.just(math.nan)), min_size=5, max_size=5)


def by_orders(answer: Callable[[np.ndarray[Any, Any]], float], row: Any, typical: Any) -> list[float]:
    """The definition: the mean of what adding an input changes, over all orders."""
    count = len(row)
    found = np.zeros(count)
    for order in itertools.permutations(range(count)):
        mixed = np.array(typical, dtype=float)
        before = answer(mixed)
        for place in order:
            mixed[place] = row[place]
            after = answer(mixed)
            found[place] += after - before
            before = after
    return [float(each) / math.factorial(count) for each in found]


def _columns(row: Any) -> dict[str, Any]:
    return {name: np.array([value], dtype=np.float64) for name, value in zip(NAMES, row, strict=True)}


def _predict(columns: Any) -> Any:
    return TREES.raw(np.column_stack([columns[name] for name in NAMES]))


@pytest.mark.parametrize("trees", [TREES, DEEP], ids=["shallow", "deep"])
@settings(deadline=None, max_examples=12)
@given(row=values, typical=values)
def test_trees_are_walked_to_the_definitions_values(trees: FlatTrees, row: list[float], typical: list[float]) -> None:
    """And they add up; missing values included."""
    found = tree_contributions(trees, np.array(row), np.array(typical), NAMES)
    expected = by_orders(lambda one: float(trees.raw(one[None])[0]), row, typical)
    np.testing.assert_allclose(list(found.by_input.values()), expected, atol=1e-9)
    assert found.base + sum(found.by_input.values()) == pytest.approx(found.answer, abs=1e-9)
    assert found.answer == trees.raw(np.array([row]))[0]


@settings(deadline=None, max_examples=25)
@given(row=values, typical=values)
def test_all_subsets_give_what_the_trees_give(row: list[float], typical: list[float]) -> None:
    """Of any model; an input that equals the typical one contributes nothing."""
    row[3] = typical[3]
    found = contributions(_predict, _columns(row), _columns(typical))
    walked = tree_contributions(TREES, np.array(row), np.array(typical), NAMES)
    assert (found.method, found.by_input["d"], set(found.errors.values())) == ("subsets", 0.0, {0.0})
    np.testing.assert_allclose(list(found.by_input.values()), list(walked.by_input.values()), atol=1e-9)
    assert found.base + sum(found.by_input.values()) == pytest.approx(found.answer, abs=1e-9)


@settings(deadline=None, max_examples=5)
@given(row=values, typical=values, seed=st.integers(0, 9))
def test_sampled_orders_add_up_and_are_near_within_their_errors(row: Any, typical: Any, seed: int) -> None:
    """The same seed gives the same."""
    found = contributions(_predict, _columns(row), _columns(typical), seed=seed, most_exact=0)
    exact = contributions(_predict, _columns(row), _columns(typical))
    assert found.base + sum(found.by_input.values()) == pytest.approx(found.answer, abs=1e-9)
    for name, value in exact.by_input.items():
        assert abs(found.by_input[name] - value) <= 6 * found.errors[name] + 1e-9
    assert found == contributions(_predict, _columns(row), _columns(typical), seed=seed, most_exact=0)


def test_a_line_of_many_inputs_is_exact() -> None:
    """Every order gives the same there: slope times distance, without an error."""
    slopes = np.arange(1.0, 21.0)
    names = [f"c{i}" for i in range(20)]
    row = {name: np.array([2.0]) for name in names}
    typical = {name: np.array([0.5]) for name in names}
    found = contributions(lambda c: np.column_stack([c[n] for n in names]) @ slopes + 7.0, row, typical)
    assert found.method == "orders"
    np.testing.assert_allclose(list(found.by_input.values()), slopes * 1.5)
    np.testing.assert_allclose(list(found.errors.values()), 0.0, atol=1e-12)


def test_text_contributes_as_numbers_do() -> None:
    """Columns keep their type while inputs are mixed."""
    row = {"kind": np.array(["dog"], dtype=object), "x": np.array([3])}
    typical = {"kind": np.array(["cat"], dtype=object), "x": np.array([1])}
    found = contributions(lambda c: (c["kind"] == "dog") * 10.0 + c["x"], row, typical)
    assert (found.base, found.answer, found.by_input) == (1.0, 13.0, {"kind": 10.0, "x": 2.0})
