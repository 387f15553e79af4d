"""LightGBM's, XGBoost's and CatBoost's trees, read from the libraries' own descriptions as an ``Ensemble``.

No such library is imported here: an estimator of theirs brings its library along.
"""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kairos.models.compiling.categories import SetColumns
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.compiling.trees import Ensemble, Link, Tree

__all__ = [
    "catboost_model",
    "catboost_numbers",
    "catboost_trees",
    "lightgbm_tree",
    "read_booster",
    "xgboost_parts",
    "xgboost_tree",
]

_IDENTITY = {
    "regression", "regression_l1", "huber", "fair", "quantile", "mape",
    "reg:squarederror", "reg:absoluteerror", "reg:quantileerror", "reg:pseudohubererror", "reg:squaredlogerror",
    "RMSE", "MAE", "Quantile", "Huber", "LogCosh", "MAPE", "Lq", "Expectile",
    "lambdarank", "rank_xendcg", "rank:ndcg", "rank:map", "rank:pairwise",
    "YetiRank", "YetiRankPairwise", "PairLogit", "PairLogitPairwise", "QueryRMSE",
}  # fmt: skip
_EXP = {"poisson", "gamma", "tweedie", "count:poisson", "reg:gamma", "reg:tweedie", "Poisson", "Tweedie"}
_SIGMOID = {"binary", "cross_entropy", "binary:logistic", "reg:logistic", "Logloss", "CrossEntropy"}

_LIGHTGBM_ZERO = float(np.float32(1e-35))


def read_booster(estimator: Any) -> Ensemble | None:
    """Returns the trees of an estimator of LightGBM, XGBoost or CatBoost, or ``None`` if it is of another library.

    Raises:
        NotCompiled: its trees are of a kind that is not written.
    """
    library = type(estimator).__module__.partition(".")[0]
    if library == "lightgbm":
        return _lightgbm(estimator.booster_, estimator._best_iteration or None)
    if library == "xgboost":
        return _xgboost(estimator)
    if library == "catboost":
        return catboost_trees(catboost_model(estimator))
    return None


def catboost_model(estimator: Any) -> dict[str, Any]:
    """What CatBoost writes of a model as JSON."""
    with tempfile.TemporaryDirectory(prefix="kairos-") as folder:  # it writes to files only
        path = Path(folder) / "model.json"
        estimator.save_model(str(path), format="json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found


def _link(objective: str) -> Link:
    for link, names in (("identity", _IDENTITY), ("exp", _EXP), ("sigmoid", _SIGMOID)):
        if objective in names:
            return link  # type: ignore[return-value]  # the tuple's first items are links
    raise NotCompiled(f"Its objective {objective!r} is not compiled.")


def _lightgbm(booster: Any, best: int | None) -> Ensemble:
    model = booster.dump_model(num_iteration=best)
    if model["num_tree_per_iteration"] != 1:
        raise NotCompiled("It tells more than two classes apart.")
    objective, *options = model["objective"].split()
    if "sqrt" in options:
        raise NotCompiled("Its answers are squared, which is not compiled.")
    settings = dict(option.split(":") for option in options if ":" in option)
    sets = _lightgbm_sets(model)
    trees = tuple(lightgbm_tree(each["tree_structure"], sets) for each in model["tree_info"])
    link = _link(objective)
    factor = float(settings.get("sigmoid", 1.0)) if link == "sigmoid" else 1.0
    return Ensemble(
        trees=trees,
        divisor=float(len(trees)) if model.get("average_output") else None,
        factor=None if factor == 1.0 else factor,
        link=link,
        coding=None if sets is None else sets.columns.coding(missing=1.0),
    )


class _Sets(NamedTuple):
    """Columns of sets, and for each feature its place among the numbers or among the categories."""

    columns: SetColumns
    is_category: list[bool]
    place: list[int]


def _lightgbm_sets(model: dict[str, Any]) -> _Sets | None:
    """The sets that trees ask about; ``None`` if no feature is a category.

    Levels of a pandas frame are numbered in their order. A missing or unknown one is in no set.
    """
    is_category = [bool(model["feature_infos"].get(name, {}).get("values")) for name in model["feature_names"]]
    if not any(is_category):
        return None
    known = model.get("pandas_categorical") or []
    if len(known) != sum(is_category):
        raise NotCompiled("Its trees ask about sets of categories that are no data type of its table.")
    columns = SetColumns(is_category, known)
    place = [is_category[:index].count(kind) for index, kind in enumerate(is_category)]
    for tree in model["tree_info"]:
        for node in _walk(tree["tree_structure"]):
            if node.get("decision_type") == "==":
                columns.ask(place[node["split_feature"]], _codes(node))
    return _Sets(columns, is_category, place)


def _codes(node: dict[str, Any]) -> frozenset[int]:
    return frozenset(int(code) for code in str(node["threshold"]).split("||"))


def _walk(root: dict[str, Any]) -> list[dict[str, Any]]:
    nodes = [root]
    for node in nodes:  # it grows while it is walked
        if "left_child" in node:
            nodes += [node["left_child"], node["right_child"]]
    return nodes


def _without_sets(node: dict[str, Any], sets: _Sets | None) -> dict[str, Any]:
    """The node as one that asks about a number."""
    if sets is None or "left_child" not in node:
        return node
    place = sets.place[node["split_feature"]]
    if node["decision_type"] != "==":
        return {**node, "split_feature": place}
    column = sets.columns.column(place, _codes(node))
    asks = {"decision_type": "<=", "threshold": 0.5, "missing_type": "NaN", "default_left": False}
    return {**node, "split_feature": column, **asks}


def lightgbm_tree(root: dict[str, Any], sets: _Sets | None) -> Tree:
    """Returns one tree of LightGBM, as it dumps it.

    Raises:
        NotCompiled: it is of a kind that is not written.
    """
    walked = _walk(root)
    place = {id(node): index for index, node in enumerate(walked)}
    nodes = [_without_sets(node, sets) for node in walked]
    is_leaf = np.array(["left_child" not in node for node in nodes])
    if not all(leaf or node["decision_type"] == "<=" for leaf, node in zip(is_leaf, nodes, strict=True)):
        raise NotCompiled("Its trees ask about sets of categories, which are not compiled.")
    if any("leaf_coeff" in node for node in nodes):
        raise NotCompiled("Its leaves are linear models, which are not compiled.")
    return Tree(
        feature=np.array([node.get("split_feature", 0) for node in nodes]),
        threshold=np.array([_threshold(node) for node in nodes], dtype=np.float64),
        left=np.array([place[id(node["left_child"])] if "left_child" in node else 0 for node in nodes]),
        right=np.array([place[id(node["right_child"])] if "left_child" in node else 0 for node in nodes]),
        missing_left=np.array([_missing_left(node) if "left_child" in node else False for node in nodes]),
        is_leaf=is_leaf,
        value=np.array([node.get("leaf_value", 0.0) for node in nodes], dtype=np.float64),
    )


def _threshold(node: dict[str, Any]) -> float:
    """The largest number that goes left. LightGBM reads a number as 0 if it is no further from it than 1e-35.

    One such number is a threshold itself: where the negative ones end. It goes right, as 0 does.
    """
    threshold = float(node.get("threshold", 0.0))
    return float(np.nextafter(threshold, -np.inf)) if threshold == -_LIGHTGBM_ZERO else threshold


def _missing_left(node: dict[str, Any]) -> bool:
    """Where LightGBM sends a missing value: by default, or where it sends 0."""
    zero_left = node["threshold"] >= 0.0
    if node["missing_type"] == "None":
        return bool(zero_left)
    if node["missing_type"] == "Zero" and node["default_left"] != zero_left:
        raise NotCompiled("Its trees take 0 for a missing value, which is not compiled.")
    return bool(node["default_left"])


def xgboost_parts(estimator: Any) -> tuple[dict[str, Any], dict[str, Any], int | None]:
    """Returns what XGBoost saves of a learner and of its trees, and how many rounds of them count; ``None``: all.

    Raises:
        NotCompiled: it has no trees, or takes a number for a missing value.
    """
    booster = estimator.get_booster()
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    gradient = learner["gradient_booster"]
    if gradient["name"] != "gbtree":
        raise NotCompiled(f"Its booster {gradient['name']!r} is not compiled.")
    if estimator.missing is not None and not math.isnan(estimator.missing):
        raise NotCompiled(f"It takes {estimator.missing!r} for a missing value, which is not compiled.")
    best = getattr(booster, "best_iteration", None) if booster.attr("best_iteration") else None
    return learner, gradient, None if best is None else best + 1


def _xgboost(estimator: Any) -> Ensemble:
    learner, gradient, rounds = xgboost_parts(estimator)
    param = learner["learner_model_param"]
    if int(param["num_class"]) > 2 or int(param.get("num_target", 1)) != 1:
        raise NotCompiled("It tells more than two classes apart, or has several outputs.")
    link = _link(learner["objective"]["name"])
    trees = tuple(xgboost_tree(tree) for tree in gradient["model"]["trees"])
    if rounds is not None:
        trees = trees[: rounds * int(gradient["model"]["gbtree_model_param"].get("num_parallel_tree", 1))]
    start = np.float32(float(param["base_score"].strip("[]")))
    if link == "sigmoid":
        start = -np.log(np.float32(1.0) / start - np.float32(1.0))
    elif link == "exp":
        start = np.log(start)
    return Ensemble(trees=trees, start=float(start), below="<", precision="float32", link=link)


def xgboost_tree(tree: dict[str, Any]) -> Tree:
    """Returns one tree of XGBoost, as it saves it.

    Raises:
        NotCompiled: it is of a kind that is not written.
    """
    if any(tree["split_type"]):
        raise NotCompiled("Its trees ask about sets of categories, which are not compiled.")
    left = np.array(tree["left_children"])
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    return Tree(
        feature=np.array(tree["split_indices"]),
        threshold=conditions,
        left=left,
        right=np.array(tree["right_children"]),
        missing_left=np.array(tree["default_left"]),
        is_leaf=left < 0,
        value=conditions,  # XGBoost keeps a leaf's value where a node has its threshold
    )


def catboost_trees(model: dict[str, Any]) -> Ensemble:
    """Returns the trees of a model that CatBoost wrote as JSON.

    Raises:
        NotCompiled: its trees are of a kind that is not written.
    """
    sums, loss = _catboost_sums(model)
    if len(sums) != 1:
        raise NotCompiled("It gives more than one number.")
    return replace(sums[0], link=_link(loss))


def catboost_numbers(model: dict[str, Any]) -> tuple[list[Ensemble], bool]:
    """The same of a model of several numbers: trees for each, and whether their sums become chances together.

    Raises:
        NotCompiled: its trees are of a kind that is not written, or its numbers are of another kind.
    """
    sums, loss = _catboost_sums(model)
    if loss not in ("MultiClass", "MultiRMSE", "MultiQuantile"):
        raise NotCompiled(f"Its objective {loss!r} is not compiled for several numbers.")
    return sums, loss == "MultiClass"


def _catboost_sums(model: dict[str, Any]) -> tuple[list[Ensemble], str]:
    """The trees of each number that are added up, and the loss."""
    features = model["features_info"]
    if features.get("categorical_features") or features.get("text_features") or features.get("embedding_features"):
        raise NotCompiled("Its trees ask about statistics of categories, text or vectors, which are not compiled.")
    if "oblivious_trees" not in model:
        raise NotCompiled("Its trees do not ask the same on each level, which is not compiled.")
    scale, biases = model["scale_and_bias"]
    if scale != 1:
        raise NotCompiled("Its sum is scaled.")
    loss: str = model["model_info"]["params"]["loss_function"]["type"]
    numbers = {each["feature_index"]: each for each in features["float_features"]}
    count = _catboost_count(model["oblivious_trees"], len(biases))
    starts = [float(each) for each in biases] or [0.0] * count
    return [
        Ensemble(
            trees=tuple(_catboost_tree(tree, numbers, place, count) for tree in model["oblivious_trees"]),
            start=starts[place] if place < len(starts) else starts[0],
            rounds_inputs=True,
        )
        for place in range(count)
    ], loss


def _catboost_count(trees: list[dict[str, Any]], biases: int) -> int:
    """How many numbers each leaf has."""
    if not trees:
        return max(biases, 1)
    return int(len(trees[0]["leaf_values"]) // 2 ** len(trees[0]["splits"] or []))


def _catboost_tree(tree: dict[str, Any], numbers: dict[int, dict[str, Any]], number: int, count: int) -> Tree:
    """All nodes of one level ask the same; the answers of all levels are the bits of the leaf's number."""
    splits = tree["splits"] or []
    inner = 2 ** len(splits) - 1
    nodes = np.arange(2 * inner + 1)  # as in a heap: the children of a node are twice its number, plus 1 and 2
    level = np.floor(np.log2(nodes + 1)).astype(np.int64)
    asked = [numbers[split["float_feature_index"]] for split in splits]
    flat = [each["flat_feature_index"] for each in asked]
    missing_left = [each["nan_value_treatment"] != "AsTrue" for each in asked]
    value = np.zeros(len(nodes))
    for place in range(inner, len(nodes)):
        path = place - inner
        bits = sum(((path >> (len(splits) - 1 - depth)) & 1) << depth for depth in range(len(splits)))
        value[place] = tree["leaf_values"][bits * count + number]
    of_level = np.minimum(level, max(len(splits) - 1, 0))
    return Tree(
        feature=np.array(flat or [0])[of_level],
        threshold=np.array([split["border"] for split in splits] or [0.0])[of_level],
        left=2 * nodes + 1,
        right=2 * nodes + 2,
        missing_left=np.array(missing_left or [False])[of_level],
        is_leaf=nodes >= inner,
        value=value,
    )
