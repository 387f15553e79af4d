"""Ensembles of trees as ONNX nodes, such that a row takes the way that the library that grew them gives it.

``TreeEnsemble`` of ``ai.onnx.ml`` 5 is the first tree operator whose thresholds, leaves and sums are all doubles. The
leaves are added in the order of the trees, from ``start`` on, as libraries do, so that sums agree to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

__all__ = ["Ensemble", "Link", "Tree", "ensemble_nodes"]

Array = np.ndarray[Any, Any]
Link = Literal["identity", "exp", "sigmoid"]
_OPERATORS: dict[Link, str] = {"exp": "Exp", "sigmoid": "Sigmoid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Nodes of one tree, each array of shape (nodes,); the root is node 0."""

    feature: Array
    threshold: Array
    left: Array
    """Where a row goes that is below the threshold; of a leaf anything."""
    right: Array
    missing_left: Array
    """Where a missing value goes."""
    is_leaf: Array
    value: Array
    """What a leaf adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Trees whose leaves are added up."""

    trees: tuple[Tree, ...]
    start: float | None = None
    """The sum before the first tree."""
    below: Literal["<=", "<"] = "<="
    """Whether a value that is the threshold goes left."""
    rounds_inputs: bool = False
    """Whether inputs are rounded to float32 before they are compared, as scikit-learn's trees do."""
    precision: Literal["float64", "float32"] = "float64"
    """Of thresholds, leaves and sums; in float32 inputs are too."""
    divisor: float | None = None
    """What the sum is divided by, for a mean over trees."""
    factor: float | None = None
    """What the sum is multiplied with before the link."""
    link: Link = "identity"


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
    dtype = np.dtype(ensemble.precision)
    start = [] if ensemble.start is None else [ensemble.start]
    table = _Table()
    for value in start:
        table.add_constant(value)
    for tree in ensemble.trees:
        table.add(tree)
    splits = np.array(table.splits, dtype=dtype)
    return {
        "n_targets": 1,
        "aggregate_function": 1,  # sum
        "post_transform": 0,  # none
        "tree_roots": table.roots,
        "nodes_featureids": table.features,
        "nodes_splits": numpy_helper.from_array(splits, "splits"),
        "nodes_modes": numpy_helper.from_array(
            np.full(len(table.features), {"<=": 0, "<": 1}[ensemble.below], dtype=np.uint8), "modes"
        ),
        "nodes_truenodeids": table.lefts,
        "nodes_trueleafs": table.left_is_leaf,
        "nodes_falsenodeids": table.rights,
        "nodes_falseleafs": table.right_is_leaf,
        "nodes_missing_value_tracks_true": table.missing,
        "leaf_targetids": [0] * len(table.leaves),
        "leaf_weights": numpy_helper.from_array(np.array(table.leaves, dtype=dtype), "weights"),
    }


class _Table:
    """The lists of the operator while they grow."""

    def __init__(self) -> None:
        self.roots: list[int] = []
        self.features: list[int] = []
        self.splits: list[float] = []
        self.missing: list[int] = []
        self.lefts: list[int] = []
        self.left_is_leaf: list[int] = []
        self.rights: list[int] = []
        self.right_is_leaf: list[int] = []
        self.leaves: list[float] = []

    def add_constant(self, value: float) -> None:
        """A tree of one leaf is written as a node whose children are both that leaf."""
        self.roots.append(len(self.features))
        leaf = self._leaf(value)
        self._node(0, 0.0, 0, (leaf, 1), (leaf, 1))

    def add(self, tree: Tree) -> None:
        if tree.is_leaf[0]:
            self.add_constant(float(tree.value[0]))
            return
        first = len(self.features)
        self.roots.append(first)
        inner = np.flatnonzero(~tree.is_leaf)
        place = {int(node): first + index for index, node in enumerate(inner)}
        for node in inner:
            children = []
            for child in (int(tree.left[node]), int(tree.right[node])):
                if tree.is_leaf[child]:
                    # ONNX Runtime takes a root for a leaf if its two children have one number in their two lists
                    # (microsoft/onnxruntime#24679): the number of a root's leaf is kept away from those of its tree.
                    if node == 0 and first <= len(self.leaves) <= first + len(inner):
                        self.leaves += [0.0] * (first + len(inner) + 1 - len(self.leaves))
                    children.append((self._leaf(float(tree.value[child])), 1))
                else:
                    children.append((place[child], 0))
            missing = int(tree.missing_left[node])
            self._node(int(tree.feature[node]), float(tree.threshold[node]), missing, children[0], children[1])

    def _leaf(self, value: float) -> int:
        self.leaves.append(value)
        return len(self.leaves) - 1

    def _node(self, feature: int, split: float, missing: int, left: tuple[int, int], right: tuple[int, int]) -> None:
        self.features.append(feature)
        self.splits.append(split)
        self.missing.append(missing)
        self.lefts.append(left[0])
        self.left_is_leaf.append(left[1])
        self.rights.append(right[0])
        self.right_is_leaf.append(right[1])
