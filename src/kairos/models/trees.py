"""Gradient-boosted trees for a few rows at a time: all trees walk at once, in numpy.

scikit-learn starts a parallel loop for each tree, which pays for thousands of rows and not for one. Here the nodes of
all trees lie in flat arrays, and each step takes every tree one level down. The leaves are added in the order of the
trees, as scikit-learn does, so that the answer is the same to the last bit.

The layout of the trees is not public in scikit-learn. It is therefore not trusted: ``flatten`` compares the answers
with the estimator's own, and gives nothing if one bit differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from kairos.models.spec import Method

__all__ = ["FlatTrees", "flatten"]

Array = np.ndarray[Any, Any]

_PROBES = 64
"""Rows on which the flat trees are compared with the estimator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatTrees:
    """The nodes of all trees, one after the other; a leaf leads to itself."""

    roots: Array
    """Index of each tree's first node, shape (trees,)."""
    feature: Array
    """Column that a node asks about, shape (nodes,)."""
    threshold: Array
    missing_left: Array
    children: Array
    """Where to go from a node, shape (2 * nodes,): right at ``2 * node``, left at ``2 * node + 1``."""
    value: Array
    """What a leaf adds."""
    depth: int
    """Steps from a root to the deepest leaf."""
    start: float
    """The sum before the first tree."""

    def raw(self, matrix: Array) -> Array:
        """Returns the sum over all trees, shape (rows,), before any link function.

        Args:
            matrix: Shape (rows, columns), float64, NaN where missing.
        """
        rows = np.arange(len(matrix))[:, None]
        node = np.broadcast_to(self.roots, (len(matrix), len(self.roots)))
        for _ in range(self.depth):
            x = matrix[rows, self.feature[node]]
            left = (x <= self.threshold[node]) | (np.isnan(x) & self.missing_left[node])
            node = self.children[2 * node + left]
        sums = np.empty((len(matrix), len(self.roots) + 1))
        sums[:, 0] = self.start
        sums[:, 1:] = self.value[node]
        return np.add.accumulate(sums, axis=1)[:, -1]  # one after the other; ``sum`` would add in pairs


def flatten(estimator: Any, method: Method) -> FlatTrees | None:
    """Returns the estimator's trees in flat form, or ``None`` if it is of another kind or the answers differ.

    Only a ``HistGradientBoostingRegressor`` that predicts, or a binary ``HistGradientBoostingClassifier`` that gives
    probabilities, with inputs that are all numbers.
    """
    kind = HistGradientBoostingRegressor if method == "predict" else HistGradientBoostingClassifier
    if type(estimator) is not kind:
        return None
    try:
        if estimator.n_trees_per_iteration_ != 1 or estimator.is_categorical_ is not None:
            return None
        trees = _flat([tree.nodes for (tree,) in estimator._predictors], float(estimator._baseline_prediction.item()))
        probes = _probes(trees, estimator.n_features_in_)
        same = np.array_equal(trees.raw(probes), estimator._raw_predict(probes)[:, 0])
    except (AttributeError, KeyError, ValueError, IndexError):  # another layout than the one we know
        return None
    return trees if same else None


def _flat(tables: list[Array], start: float) -> FlatTrees:
    sizes = [len(table) for table in tables]
    roots = np.cumsum([0, *sizes[:-1]])
    nodes = np.concatenate(tables)
    first = np.repeat(roots, sizes)
    own = np.arange(len(nodes))
    is_leaf = nodes["is_leaf"].astype(bool)
    children = [np.where(is_leaf, own, nodes[side].astype(np.intp) + first) for side in ("right", "left")]
    return FlatTrees(
        roots=roots,
        feature=np.where(is_leaf, 0, nodes["feature_idx"]),
        threshold=nodes["num_threshold"].copy(),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        children=np.stack(children, axis=1).ravel(),
        value=nodes["value"].copy(),
        depth=int(nodes["depth"].max()),
        start=start,
    )


def _probes(trees: FlatTrees, columns: int) -> Array:
    """Rows made of the trees' own thresholds, where an answer turns, with a missing value here and there."""
    random = np.random.default_rng(0)
    probes = np.empty((_PROBES, columns))
    for column in range(columns):
        asked = trees.threshold[trees.feature == column]
        probes[:, column] = random.choice(asked, _PROBES) if asked.size else 0.0
    probes[random.random(probes.shape) < 0.1] = np.nan
    return probes
