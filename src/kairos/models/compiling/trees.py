"""Ensembles of trees as plain values, whatever library grew them; no ONNX is loaded for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["Coding", "Ensemble", "Link", "Tree"]

Array = np.ndarray[Any, Any]
Link = Literal["identity", "exp", "sigmoid"]


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
class Coding:
    """How columns of categories become columns of sets, where trees ask whether a category is in a set."""

    is_category: Array
    """For each column of the signature, shape (columns,)."""
    known: tuple[tuple[Any, ...], ...]
    """Categories of each such column, in the order of their codes."""
    tables: tuple[Array, ...]
    """Of each such column, shape (categories + 1, sets): 0 inside, 1 outside; the last row is a missing category's."""


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
    coding: Coding | None = None
    """If it is there, trees ask about numbers and, behind them, about columns of sets."""
