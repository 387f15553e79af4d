"""Flat trees answer as scikit-learn does, to the last bit, or there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor

from kairos.models.runner import SklearnRunner
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.models.spec import Method, TrainingForm
from kairos.models.trees import flatten

RNG = np.random.default_rng(3)
X = RNG.normal(size=(500, 4)).round(1)
X[RNG.random(X.shape) < 0.1] = np.nan
Y = np.nansum(X, axis=1) + np.nan_to_num(X[:, 0]) ** 2
REGRESSOR = HistGradientBoostingRegressor(max_iter=30, random_state=0).fit(X, Y)
FLAT = flatten(REGRESSOR, "predict")

CASES: list[tuple[Any, Any, Method]] = [
    (HistGradientBoostingRegressor(max_iter=30), Y, "predict"),
    (HistGradientBoostingRegressor(max_iter=30, loss="absolute_error", max_leaf_nodes=None, max_depth=3), Y, "predict"),
    (HistGradientBoostingRegressor(max_iter=30, loss="poisson"), np.exp(Y / 4), "predict"),
    (HistGradientBoostingRegressor(max_iter=3), np.ones(500), "predict"),
    (HistGradientBoostingClassifier(max_iter=30), Y > 0, "predict_proba"),
]


@pytest.mark.parametrize(("estimator", "target", "method"), CASES)
def test_one_row_is_answered_as_in_a_table(estimator: Any, target: Any, method: Method) -> None:
    """Whatever the loss, its link function and the shape of the trees; missing values included."""
    estimator.fit(X, target)
    columns = {f"c{i}": X[:, i] for i in range(4)}
    signature = Signature(
        columns=tuple(Column(name=name, kind="number", nullable=True) for name in columns), output=OutputSpec()
    )
    form = TrainingForm(kind="matrix", dtypes=dict.fromkeys(columns, "Float64"))
    assert flatten(estimator, method) is not None
    expected = getattr(estimator, method)(X)
    runner = SklearnRunner(estimator, signature=signature, form=form, method=method)
    answers = [runner.predict({name: v[i : i + 1] for name, v in columns.items()})[0] for i in range(60)]
    np.testing.assert_array_equal(answers, (expected if expected.ndim == 1 else expected[:, 1])[:60])


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(), min_size=4, max_size=4), min_size=1, max_size=4))
def test_any_numbers_are_answered_as_scikit_learn_does(rows: list[list[float]]) -> None:
    """Infinite, missing, tiny or huge."""
    assert FLAT is not None
    matrix = np.array(rows)
    np.testing.assert_array_equal(FLAT.raw(matrix), [_by_hand(row) for row in matrix])


def _by_hand(row: Any) -> float:
    """One node after the other, tree after tree, as the definition says."""
    total = float(REGRESSOR._baseline_prediction.item())
    for (tree,) in REGRESSOR._predictors:
        node = tree.nodes[0]
        while not node["is_leaf"]:
            x = row[node["feature_idx"]]
            left = node["missing_go_to_left"] if np.isnan(x) else x <= node["num_threshold"]
            node = tree.nodes[node["left" if left else "right"]]
        total += node["value"]
    return total


class Doubled(HistGradientBoostingRegressor):  # type: ignore[misc]
    """Answers otherwise than its trees say."""


def test_what_is_not_known_has_no_flat_form() -> None:
    """Subclasses, other estimators, several classes, categories, and classes in the place of probabilities."""
    assert flatten(Doubled(max_iter=2).fit(X, Y), "predict") is None
    assert flatten(RandomForestRegressor(2).fit(np.nan_to_num(X), Y), "predict") is None
    many = HistGradientBoostingClassifier(max_iter=2).fit(X, np.digitize(Y, [-1.0, 1.0]))
    assert flatten(many, "predict_proba") is None
    two = HistGradientBoostingClassifier(max_iter=2).fit(X, Y > 0)
    assert flatten(two, "predict") is None
    table = pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(RNG.choice(["x", "y"], 500))})
    assert flatten(HistGradientBoostingRegressor(max_iter=2).fit(table, Y), "predict") is None


def test_trees_in_a_layout_that_is_not_known_have_no_flat_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later scikit-learn may move things, or mean something else by them."""
    moved = HistGradientBoostingRegressor(max_iter=2).fit(X, Y)
    monkeypatch.setattr(moved, "_predictors", [[object()]])
    assert flatten(moved, "predict") is None
    other = HistGradientBoostingRegressor(max_iter=2).fit(X, Y)
    monkeypatch.setattr(other, "_raw_predict", lambda matrix: np.zeros((len(matrix), 1)))
    assert flatten(other, "predict") is None
