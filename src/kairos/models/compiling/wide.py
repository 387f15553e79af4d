"""Trees of models that give several numbers: one ensemble for each number, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from kairos.models.compiling.boosters import (
    catboost_model,
    catboost_numbers,
    lightgbm_tree,
    xgboost_parts,
    xgboost_tree,
)
from kairos.models.compiling.categories import plain_tree
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.compiling.tree_nodes import ensemble_nodes
from kairos.models.compiling.trees import Ensemble, Tree

__all__ = ["all_trees", "read_wide", "wide_nodes"]

Wide = tuple[Sequence[Ensemble], bool]
"""One for each number, and whether their sums become chances together."""


def read_wide(estimator: Any) -> Wide | None:
    """Returns the trees of each number that an estimator gives; ``None`` if it is none of trees.

    Raises:
        NotCompiled: its trees are of a kind that is not written.
    """
    library = type(estimator).__module__.partition(".")[0]
    if library == "lightgbm":
        return _lightgbm(estimator)
    if library == "xgboost":
        return _xgboost(estimator)
    if library == "catboost":
        return catboost_numbers(catboost_model(estimator))
    read = _READERS.get(type(estimator))
    return None if read is None else read(estimator)


def all_trees(wide: Wide) -> Ensemble:
    """All of them as one, for whoever looks at their thresholds."""
    return replace(wide[0][0], trees=tuple(tree for each in wide[0] for tree in each.trees))


def wide_nodes(wide: Wide, source: str, target: str) -> list[NodeProto]:
    """Nodes from ``source``, doubles of shape (n, features), to ``target``, doubles of shape (n, numbers)."""
    ensembles, are_chances = wide
    parts = [f"{target}_of_{place}" for place in range(len(ensembles))]
    nodes = [
        node for each, part in zip(ensembles, parts, strict=True) for node in ensemble_nodes(each, source, part)
    ]  # fmt: skip
    joined = f"{target}_joined" if are_chances else target
    nodes.append(helper.make_node("Concat", parts, [joined], axis=1))
    if are_chances:
        nodes.append(helper.make_node("Softmax", [joined], [target], axis=1))
    return nodes


def _histograms(estimator: Any) -> Wide:
    if estimator.is_categorical_ is not None:
        raise NotCompiled("Its trees tell more than two classes apart and ask about sets of categories.")
    starts = np.ravel(estimator._baseline_prediction)
    return [
        Ensemble(trees=tuple(plain_tree(each[place].nodes) for each in estimator._predictors), start=float(start))
        for place, start in enumerate(starts)
    ], True


def _averaged(estimator: Any) -> Wide:
    return _shares([one.tree_ for one in estimator.estimators_])


def _single(estimator: Any) -> Wide:
    return _shares([estimator.tree_])


def _shares(trees: Sequence[Any]) -> Wide:
    """Leaves hold the share of each class, or the mean of each target."""
    _, targets, classes = trees[0].value.shape
    if targets > 1 and classes > 1:
        raise NotCompiled("It tells classes of several targets apart.")
    return [
        Ensemble(
            trees=tuple(_tree(tree, place) for tree in trees),
            rounds_inputs=True,
            divisor=float(len(trees)) if len(trees) > 1 else None,
        )
        for place in range(max(targets, classes))
    ], False


def _tree(tree: Any, place: int) -> Tree:
    return Tree(
        feature=tree.feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=np.asarray(tree.missing_go_to_left),
        is_leaf=tree.children_left < 0,
        value=tree.value.reshape(len(tree.feature), -1)[:, place],
    )


def _lightgbm(estimator: Any) -> Wide:
    model = estimator.booster_.dump_model(num_iteration=estimator._best_iteration or None)
    count = model["num_tree_per_iteration"]
    objective, *options = model["objective"].split()
    if objective != "multiclass" or model.get("average_output"):
        raise NotCompiled(f"Its objective {objective!r} is not compiled for several numbers.")
    trees = [lightgbm_tree(each["tree_structure"], None) for each in model["tree_info"]]
    assert f"num_class:{count}" in options
    return [Ensemble(trees=tuple(trees[place::count])) for place in range(count)], True


def _xgboost(estimator: Any) -> Wide:
    learner, gradient, rounds = xgboost_parts(estimator)
    objective, param = learner["objective"]["name"], learner["learner_model_param"]
    if objective != "multi:softprob":
        raise NotCompiled(f"Its objective {objective!r} is not compiled for several numbers.")
    count, model = int(param["num_class"]), gradient["model"]
    starts = np.broadcast_to(np.array(json.loads(f"[{param['base_score'].strip('[]')}]"), dtype=np.float32), count)
    each = int(model["gbtree_model_param"].get("num_parallel_tree", 1)) * count
    kept = len(model["trees"]) if rounds is None else rounds * each
    told = list(zip(model["tree_info"], model["trees"], strict=True))[:kept]
    return [
        Ensemble(
            trees=tuple(xgboost_tree(tree) for place, tree in told if place == number),
            start=float(start),
            below="<",
            precision="float32",
        )
        for number, start in enumerate(starts)
    ], True


def _boosted(estimator: Any) -> Wide:
    """Gradient boosting of scikit-learn, begun from the classes' shares, or from nothing."""
    if estimator.init is not None and not isinstance(estimator.init, str):
        raise NotCompiled("Its trees start from the answers of another estimator.")
    starts = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))[0]
    return [
        Ensemble(
            trees=tuple(
                replace(tree, value=estimator.learning_rate * tree.value)
                for tree in (_tree(one.tree_, 0) for one in estimator.estimators_[:, place])
            ),
            start=float(start),
            rounds_inputs=True,
        )
        for place, start in enumerate(starts)
    ], True


_READERS: dict[type, Callable[[Any], Wide]] = {
    GradientBoostingClassifier: _boosted,
    HistGradientBoostingClassifier: _histograms,
    RandomForestRegressor: _averaged,
    RandomForestClassifier: _averaged,
    ExtraTreesRegressor: _averaged,
    ExtraTreesClassifier: _averaged,
    DecisionTreeRegressor: _single,
    DecisionTreeClassifier: _single,
    ExtraTreeRegressor: _single,
    ExtraTreeClassifier: _single,
}
