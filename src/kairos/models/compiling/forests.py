"""scikit-learn's trees, read as an ``Ensemble``. Their layout is not public, so what is read is proven afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from kairos.models.compiling.categories import histogram_trees
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.compiling.trees import Ensemble, Link, Tree

__all__ = ["read_forest"]

Array = np.ndarray[Any, Any]
_LINKS: dict[str, tuple[Link, float | None]] = {
    "IdentityLink": ("identity", None),
    "LogLink": ("exp", None),
    "LogitLink": ("sigmoid", None),
    "HalfLogitLink": ("sigmoid", 2.0),
}
"""By name: the link's inverse, and what the sum is multiplied with before it."""


def read_forest(estimator: Any) -> Ensemble | None:
    """Returns the trees of an estimator of scikit-learn, or ``None`` if it is none of trees.

    Raises:
        NotCompiled: its trees are of a kind that is not written.
    """
    read = _READERS.get(type(estimator))
    return None if read is None else read(estimator)


def _histograms(estimator: Any) -> Ensemble:
    if estimator.n_trees_per_iteration_ != 1:
        raise NotCompiled("It tells more than two classes apart.")
    start = float(np.asarray(estimator._baseline_prediction).item())
    link, factor = _link(estimator._loss)
    trees, coding = histogram_trees(estimator)
    return Ensemble(trees=trees, start=start, link=link, factor=factor, coding=coding)


def _boosted(estimator: Any) -> Ensemble:
    if estimator.estimators_.shape[1] != 1:
        raise NotCompiled("It tells more than two classes apart.")
    if estimator.init is not None and not isinstance(estimator.init, str):
        raise NotCompiled("Its trees start from the answers of another estimator.")
    raw = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))
    trees = [_tree(one.tree_, estimator.learning_rate) for (one,) in estimator.estimators_]
    start = float(np.ravel(raw)[0])
    link, factor = _link(estimator._loss)
    return Ensemble(trees=tuple(trees), start=start, rounds_inputs=True, link=link, factor=factor)


def _averaged(estimator: Any) -> Ensemble:
    trees = tuple(_tree(one.tree_) for one in estimator.estimators_)
    return Ensemble(trees=trees, rounds_inputs=True, divisor=float(len(trees)))


def _single(estimator: Any) -> Ensemble:
    return Ensemble(trees=(_tree(estimator.tree_),), rounds_inputs=True)


def _tree(tree: Any, factor: float | None = None) -> Tree:
    if tree.value.shape[1] != 1 or tree.value.shape[2] > 2:
        raise NotCompiled("It tells more than two classes apart, or has several outputs.")
    value = tree.value[:, 0, -1]  # a number, or the share of the second class
    return Tree(
        feature=tree.feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=np.asarray(tree.missing_go_to_left),
        is_leaf=tree.children_left < 0,
        value=value if factor is None else factor * value,
    )


def _link(loss: Any) -> tuple[Link, float | None]:
    name = type(loss.link).__name__
    if name not in _LINKS:
        raise NotCompiled(f"Its answers go through {name}, which is not compiled.")
    return _LINKS[name]


_READERS: dict[type, Callable[[Any], Ensemble]] = {
    HistGradientBoostingRegressor: _histograms,
    HistGradientBoostingClassifier: _histograms,
    GradientBoostingRegressor: _boosted,
    GradientBoostingClassifier: _boosted,
    RandomForestRegressor: _averaged,
    RandomForestClassifier: _averaged,
    ExtraTreesRegressor: _averaged,
    ExtraTreesClassifier: _averaged,
    DecisionTreeRegressor: _single,
    DecisionTreeClassifier: _single,
    ExtraTreeRegressor: _single,
    ExtraTreeClassifier: _single,
}
