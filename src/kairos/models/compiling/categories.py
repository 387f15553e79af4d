"""Sets of categories in the trees of ``HistGradientBoosting*``, and the codes that it gives categories itself.

A tree asks whether a category is in a set. ``TreeEnsemble``'s own question about sets has crashed ONNX Runtime
(microsoft/onnxruntime#25400). Here each set becomes a column: a table has, for each category, 0 where it is in the set
and 1 where it is not, so that one look-up answers for all sets, and trees ask about numbers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from kairos.models.compiled import MISSING_TEXT, Layout
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.compiling.trees import Tree
from kairos.models.signature import Signature

__all__ = ["CODED", "code_nodes", "histogram_trees"]

Array = np.ndarray[Any, Any]
CODED = "coded"
"""Name of what ``code_nodes`` gives: all numbers, then the columns of sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sets:
    """The sets that trees ask about, by categorical feature; features of categories are the first ones."""

    known: tuple[tuple[Any, ...], ...]
    """Categories of each feature, in the order of their codes."""
    tables: tuple[Array, ...]
    """Of each feature, shape (categories + 1, sets): 0 inside, 1 outside; the last row is a missing category's."""
    column: dict[tuple[int, bytes], int]
    """Column of ``CODED``, by feature and bits of the set."""


def histogram_trees(estimator: Any) -> tuple[Tree, ...]:
    """Returns the trees of a ``HistGradientBoosting*``, which ask about the columns of ``CODED``."""
    sets = _sets(estimator)
    return tuple(_tree(predictor, sets) for (predictor,) in estimator._predictors)


def _tree(predictor: Any, sets: _Sets) -> Tree:
    nodes = predictor.nodes
    feature = nodes["feature_idx"].astype(np.int64) - len(sets.known)
    threshold = nodes["num_threshold"].copy()
    for index in _asks_a_set(nodes):
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][index]].tobytes()
        feature[index], threshold[index] = sets.column[int(nodes["feature_idx"][index]), bits], 0.5
    return Tree(
        feature=feature,
        threshold=threshold,
        left=nodes["left"],
        right=nodes["right"],
        missing_left=nodes["missing_go_to_left"],
        is_leaf=nodes["is_leaf"].astype(bool),
        value=nodes["value"],
    )


def _asks_a_set(nodes: Array) -> list[int]:
    return np.flatnonzero(nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)).tolist()


def _sets(estimator: Any) -> _Sets:
    if estimator.is_categorical_ is None:
        return _Sets(known=(), tables=(), column={})
    categories = estimator._preprocessor.named_transformers_["encoder"].categories_
    # NaN is a missing category. None is not for scikit-learn's encoder: there it is a category like another.
    known = tuple(
        tuple(MISSING_TEXT if v is None else v for v in each.tolist() if v is None or v == v) for each in categories
    )
    asked: list[dict[bytes, None]] = [{} for _ in known]
    for (predictor,) in estimator._predictors:
        for index in _asks_a_set(predictor.nodes):
            bits = predictor.raw_left_cat_bitsets[predictor.nodes["bitset_idx"][index]].tobytes()
            asked[predictor.nodes["feature_idx"][index]][bits] = None
    column: dict[tuple[int, bytes], int] = {}
    first = len(estimator.is_categorical_) - len(known)
    for feature, found in enumerate(asked):
        for bits in found:
            column[feature, bits] = first + len(column)
    tables = tuple(_table(len(values), list(found)) for values, found in zip(known, asked, strict=True))
    return _Sets(known=known, tables=tables, column=column)


def _table(categories: int, sets: Sequence[bytes]) -> Array:
    table = np.full((categories + 1, len(sets)), np.nan)
    for place, bits in enumerate(sets):
        words = np.frombuffer(bits, dtype=np.uint32)
        codes = np.arange(categories)
        table[:-1, place] = 1.0 - (words[codes // 32] >> (codes % 32).astype(np.uint32) & 1)
    return table


def code_nodes(estimator: Any, signature: Signature, layout: Layout) -> list[NodeProto]:
    """Nodes that give ``CODED`` from the file's inputs; a category never seen is a missing one.

    Raises:
        NotCompiled: categories are neither text nor whole numbers.
    """
    sets, is_category = _sets(estimator), np.asarray(estimator.is_categorical_)
    nodes: list[NodeProto] = []
    found: list[str] = []
    for index in np.flatnonzero(~is_category):
        found.append(_source(int(index), layout, nodes))
    for index, known, table in zip(np.flatnonzero(is_category), sets.known, sets.tables, strict=True):
        if not table.shape[1]:
            continue  # no tree asks about it
        source = _source(int(index), layout, nodes)
        is_text = signature.columns[index].kind in ("category", "text")
        nodes += _looked_up(known, table, source, is_text=is_text)
        found.append(f"{source}_sets")
    nodes.append(helper.make_node("Concat", found, [CODED], axis=1))
    return nodes


def _source(index: int, layout: Layout, nodes: list[NodeProto]) -> str:
    """Name of one column of shape (n, 1)."""
    if layout == "columns":
        return f"c{index}"
    place = numpy_helper.from_array(np.array([index]), "place")
    nodes.append(helper.make_node("Constant", [], [f"place{index}"], value=place))
    nodes.append(helper.make_node("Gather", ["X", f"place{index}"], [f"x{index}"], axis=1))
    return f"x{index}"


def _looked_up(known: Sequence[Any], table: Array, source: str, *, is_text: bool) -> list[NodeProto]:
    nodes, asked = [], source
    keys: dict[str, Any] = {"keys_strings": list(known)}
    if not is_text:
        if any(isinstance(value, (str, bool)) or float(value) != int(value) for value in known):
            raise NotCompiled("It knows categories that are neither text nor whole numbers.")
        keys, asked = {"keys_int64s": [int(value) for value in known]}, f"{source}_whole"
        nodes.append(helper.make_node("Cast", [source], [asked], to=TensorProto.INT64))
    values = numpy_helper.from_array(table, "table")
    shape = numpy_helper.from_array(np.array([-1, table.shape[1]]), "shape")
    return [
        *nodes,
        helper.make_node("Constant", [], [f"{source}_table"], value=values),
        helper.make_node("Constant", [], [f"{source}_shape"], value=shape),
        # A code of -1 is the last row of the table.
        helper.make_node(
            "LabelEncoder", [asked], [f"{source}_code"], domain="ai.onnx.ml", values_int64s=list(range(len(known))),
            default_int64=-1, **keys,
        ),
        helper.make_node("Gather", [f"{source}_table", f"{source}_code"], [f"{source}_rows"], axis=0),
        helper.make_node("Reshape", [f"{source}_rows", f"{source}_shape"], [f"{source}_sets"]),
    ]  # fmt: skip
