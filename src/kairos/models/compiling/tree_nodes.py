"""Ensembles of trees as ONNX nodes, such that a row takes the way that the library that grew them gives it.

``TreeEnsemble`` of ``ai.onnx.ml`` 5 is the first tree operator whose thresholds, leaves and sums are all doubles. The
leaves are added in the order of the trees, from ``start`` on, as libraries do, so that sums agree to the last bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from kairos.models.compiling.refusals import NotCompiled
from kairos.models.compiling.trees import Ensemble, Link, Tree

__all__ = ["MOST_NODES", "ensemble_nodes"]

Array = np.ndarray[Any, Any]
MOST_NODES = 2_000_000
"""Of all trees: a file of 100 MB, which takes a second to make and another to load."""

_OPERATORS: dict[Link, str] = {"exp": "Exp", "sigmoid": "Sigmoid"}


def ensemble_nodes(ensemble: Ensemble, source: str, target: str) -> list[NodeProto]:
    """Nodes from ``source``, doubles of shape (n, features), to ``target``, doubles of shape (n, 1)."""
    double, single = TensorProto.DOUBLE, TensorProto.FLOAT
    chain: list[tuple[str, str, dict[str, Any]]] = []
    if ensemble.rounds_inputs or ensemble.precision == "float32":
        chain.append(("Cast", "", {"to": single}))
        if ensemble.precision == "float64":
            chain.append(("Cast", "", {"to": double}))
    chain.append(("TreeEnsemble", "ai.onnx.ml", _attributes(ensemble)))
    nodes: list[NodeProto] = []
    dtype = np.dtype(ensemble.precision)
    for operator, number in (("Div", ensemble.divisor), ("Mul", ensemble.factor)):
        if number is not None:
            value = numpy_helper.from_array(np.array(number, dtype=dtype), "value")
            nodes.append(helper.make_node("Constant", [], [f"{target}_{operator}"], value=value))
            chain.append((operator, "", {}))
    if ensemble.link != "identity":
        chain.append((_OPERATORS[ensemble.link], "", {}))
    if ensemble.precision == "float32":
        chain.append(("Cast", "", {"to": double}))
    for index, (operator, domain, attributes) in enumerate(chain):
        output = target if index == len(chain) - 1 else f"{target}_{index}"
        inputs = [source, f"{target}_{operator}"] if operator in ("Div", "Mul") else [source]
        nodes.append(helper.make_node(operator, inputs, [output], domain=domain or None, **attributes))
        source = output
    return nodes


def _attributes(ensemble: Ensemble) -> dict[str, Any]:
    """The operator's layout: inner nodes in one list, leaves in another, a child named by list and index."""
    trees = [_constant(ensemble.start)] if ensemble.start is not None else []
    trees += [tree if not tree.is_leaf[0] else _constant(float(tree.value[0])) for tree in ensemble.trees]
    nodes = sum(int(np.count_nonzero(~tree.is_leaf)) for tree in trees)
    if nodes > MOST_NODES:
        raise NotCompiled(f"Its trees have {nodes:,} nodes, and more than {MOST_NODES:,} would make a file too large.")
    dtype = np.dtype(ensemble.precision)
    roots: list[int] = []
    parts: list[_Part] = []
    first = leaves = 0
    for tree in trees:
        part = _part(tree, first, leaves)
        roots.append(first)
        parts.append(part)
        first, leaves = first + len(part.feature), leaves + len(part.leaf)
    joined = [np.concatenate(each) for each in zip(*parts, strict=True)]
    feature, split, missing, left, left_is_leaf, right, right_is_leaf, leaf = joined
    mode = {"<=": 0, "<": 1}[ensemble.below]
    return {
        "n_targets": 1,
        "aggregate_function": 1,  # sum
        "post_transform": 0,  # none
        "tree_roots": roots,
        "nodes_featureids": feature.tolist(),
        "nodes_splits": numpy_helper.from_array(split.astype(dtype), "splits"),
        "nodes_modes": numpy_helper.from_array(np.full(len(feature), mode, dtype=np.uint8), "modes"),
        "nodes_truenodeids": left.tolist(),
        "nodes_trueleafs": left_is_leaf.tolist(),
        "nodes_falsenodeids": right.tolist(),
        "nodes_falseleafs": right_is_leaf.tolist(),
        "nodes_missing_value_tracks_true": missing.tolist(),
        "leaf_targetids": [0] * len(leaf),
        "leaf_weights": numpy_helper.from_array(leaf.astype(dtype), "weights"),
    }


class _Part(NamedTuple):
    """What one tree adds to the operator's lists."""

    feature: Array
    split: Array
    missing: Array
    left: Array
    left_is_leaf: Array
    right: Array
    right_is_leaf: Array
    leaf: Array


def _constant(value: float) -> Tree:
    """A tree of one leaf, which the operator wants as a node whose children are both that leaf."""
    zero, one = np.zeros(2, dtype=np.int64), np.ones(2, dtype=np.int64)
    return Tree(
        feature=zero,
        threshold=np.zeros(2),
        left=one,
        right=one,
        missing_left=zero,
        is_leaf=np.array([False, True]),
        value=np.array([0.0, value]),
    )


def _part(tree: Tree, first: int, leaves: int) -> _Part:
    """One tree, behind so many nodes and leaves of others."""
    is_leaf = np.asarray(tree.is_leaf, dtype=bool)
    inner = np.flatnonzero(~is_leaf)
    left, right = (np.asarray(side)[inner].astype(np.int64) for side in (tree.left, tree.right))
    leaf = np.asarray(tree.value, dtype=np.float64)[is_leaf]
    place = np.where(is_leaf, np.cumsum(is_leaf) - 1 + leaves, np.cumsum(~is_leaf) - 1 + first)
    # ONNX Runtime takes a root for a leaf if its two children have one number, each in its own list
    # (microsoft/onnxruntime#24679): a leaf that nobody reaches moves the others on.
    if is_leaf[left[0]] != is_leaf[right[0]] and place[left[0]] == place[right[0]]:
        leaf = np.concatenate([[0.0], leaf])
        place = place + is_leaf
    return _Part(
        feature=np.asarray(tree.feature)[inner].astype(np.int64),
        split=np.asarray(tree.threshold)[inner],
        missing=np.asarray(tree.missing_left)[inner].astype(np.int64),
        left=place[left],
        left_is_leaf=is_leaf[left].astype(np.int64),
        right=place[right],
        right_is_leaf=is_leaf[right].astype(np.int64),
        leaf=leaf,
    )
