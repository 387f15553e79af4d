"""Trees that ask whether a category is in a set: each set becomes a column, and trees ask about numbers only.

A table has, for each category, 0 where it is in the set and 1 where it is not, so that one look-up answers for all
sets. No ONNX is loaded for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from kairos.models.compiled import MISSING_TEXT
from kairos.models.compiling.trees import Coding, Tree

__all__ = ["SetColumns", "histogram_trees", "plain_tree"]

Array = np.ndarray[Any, Any]


class SetColumns:
    """Collects the sets that trees ask about, and gives each its column, behind all numbers.

    Args:
        is_category: For each column of the signature.
        known: Categories of each such column, in the order of their codes.
    """

    def __init__(self, is_category: Sequence[bool], known: Sequence[Sequence[Any]]) -> None:
        self._is_category = np.asarray(is_category, dtype=bool)
        self._known = tuple(tuple(values) for values in known)
        self._asked: list[dict[frozenset[int], None]] = [{} for _ in self._known]
        self._columns: dict[tuple[int, frozenset[int]], int] = {}

    def ask(self, category: int, codes: Collection[int]) -> None:
        """Notes a set of codes of the n-th column of categories."""
        self._asked[category][frozenset(codes)] = None

    def column(self, category: int, codes: Collection[int]) -> int:
        """Column of a set, once all are noted."""
        if not self._columns:
            first = int((~self._is_category).sum())
            noted = [(place, sets) for place, asked in enumerate(self._asked) for sets in asked]
            self._columns = {key: first + index for index, key in enumerate(noted)}
        return self._columns[category, frozenset(codes)]

    def coding(self, missing: float) -> Coding:
        """The tables, with what a missing category is in each."""
        tables = []
        for values, sets in zip(self._known, self._asked, strict=True):
            table = np.ones((len(values) + 1, len(sets)))
            for place, codes in enumerate(sets):
                table[sorted(code for code in codes if code < len(values)), place] = 0.0
            table[-1] = missing
            tables.append(table)
        return Coding(is_category=self._is_category, known=self._known, tables=tuple(tables))


def histogram_trees(estimator: Any) -> tuple[tuple[Tree, ...], Coding | None]:
    """Returns the trees of a ``HistGradientBoosting*``, and how categories are coded if there are any."""
    predictors = [predictor for (predictor,) in estimator._predictors]
    if estimator.is_categorical_ is None:
        return tuple(_tree(predictor.nodes, {}, 0) for predictor in predictors), None
    categories = estimator._preprocessor.named_transformers_["encoder"].categories_
    # NaN is a missing category. None is not for scikit-learn's encoder: there it is a category like another.
    known = [[MISSING_TEXT if v is None else v for v in each.tolist() if v is None or v == v] for each in categories]
    sets = SetColumns(estimator.is_categorical_.tolist(), known)
    questions = [_questions(predictor) for predictor in predictors]
    for asked in questions:
        for category, codes in asked.values():
            sets.ask(category, codes)
    trees = []
    for predictor, asked in zip(predictors, questions, strict=True):
        columns = {node: sets.column(category, codes) for node, (category, codes) in asked.items()}
        trees.append(_tree(predictor.nodes, columns, len(known)))
    return tuple(trees), sets.coding(missing=np.nan)


def plain_tree(nodes: Array) -> Tree:
    """Returns one tree of a ``HistGradientBoosting*`` that asks about no categories."""
    return _tree(nodes, {}, 0)


def _questions(predictor: Any) -> dict[int, tuple[int, frozenset[int]]]:
    """Nodes that ask about a set, with their feature and the codes that go left; categories are the first features."""
    nodes = predictor.nodes
    asking = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool))
    found = {}
    for node in asking.tolist():
        words = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little")
        found[node] = int(nodes["feature_idx"][node]), frozenset(np.flatnonzero(bits).tolist())
    return found


def _tree(nodes: Array, columns: dict[int, int], categories: int) -> Tree:
    feature, threshold = nodes["feature_idx"].astype(np.int64) - categories, nodes["num_threshold"].copy()
    for node, column in columns.items():
        feature[node], threshold[node] = column, 0.5
    return Tree(
        feature=feature,
        threshold=threshold,
        left=nodes["left"],
        right=nodes["right"],
        missing_left=nodes["missing_go_to_left"],
        is_leaf=nodes["is_leaf"].astype(bool),
        value=nodes["value"],
    )
