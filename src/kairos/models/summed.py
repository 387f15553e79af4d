"""The trees behind an answer that is a plain sum of their leaves, whatever library grew them, and what they see.

Boosted trees with an identity link, forests whose answer is a mean over trees, and a line that puts such answers right.
The layouts that are read are not public: whoever walks these trees compares them with the model's own answers first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kairos.models.compiled import MISSING_TEXT
from kairos.models.compiling.boosters import read_booster
from kairos.models.compiling.forests import read_forest
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.compiling.trees import Coding, Ensemble
from kairos.models.recalibrated import Recalibrated
from kairos.models.signature import Signature
from kairos.models.spread import spread_columns
from kairos.models.trees import FlatTrees

__all__ = ["SummedTrees", "summed_trees"]

Array = np.ndarray[Any, Any]
Columns = Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class SummedTrees:
    """Trees, and what they see."""

    trees: FlatTrees
    signature: Signature
    inputs: tuple[int, ...]
    """Which input each column that the trees ask about is of, shape (columns,)."""
    is_single: bool
    """Whether the library computes in float32: its answers differ from these sums by what that rounds."""
    coding: Coding | None
    rounds_inputs: bool

    def seen(self, columns: Columns) -> Array:
        """What the trees see of rows, shape (rows, columns), float64, NaN where missing.

        Args:
            columns: One array an input, as the signature reads them.
        """
        each = list(spread_columns(self.signature, columns).values())
        if self.coding is None:
            matrix = np.column_stack([np.asarray(values, dtype=np.float64) for values in each])
        else:
            matrix = _coded(self.coding, each)
        with np.errstate(over="ignore"):
            return matrix.astype(np.float32).astype(np.float64) if self.rounds_inputs else matrix


def summed_trees(estimator: Any, signature: Signature) -> SummedTrees | None:
    """The trees of an estimator whose answer is their sum, or ``None`` if it is another one.

    Args:
        estimator: Fitted, as a package holds it.
        signature: Of the model.
    """
    if signature.outputs:
        return None
    mend = estimator.recalibration if isinstance(estimator, Recalibrated) else None
    inner = estimator if mend is None else estimator.estimator
    try:
        ensemble = read_forest(inner) or read_booster(inner)
        if ensemble is None or ensemble.link != "identity" or ensemble.factor is not None:
            return None
        trees = _flat(ensemble)
    except (NotCompiled, AttributeError, KeyError, ValueError, IndexError):  # another layout than the one we know
        return None
    if mend is not None:
        if mend.scale != "plain":
            return None
        trees = replace(trees, value=mend.slope * trees.value, start=mend.level + mend.slope * trees.start)
    return SummedTrees(
        trees=trees,
        signature=signature,
        inputs=_inputs(ensemble.coding, signature),
        is_single=ensemble.precision == "float32",
        coding=ensemble.coding,
        rounds_inputs=ensemble.rounds_inputs or ensemble.precision == "float32",
    )


def _flat(ensemble: Ensemble) -> FlatTrees:
    sizes = [len(tree.is_leaf) for tree in ensemble.trees]
    roots = np.cumsum([0, *sizes[:-1]])
    first, own = np.repeat(roots, sizes), np.arange(sum(sizes))
    is_leaf = np.concatenate([np.asarray(tree.is_leaf, dtype=bool) for tree in ensemble.trees])
    sides = [
        np.where(is_leaf, own, np.concatenate([np.asarray(getattr(tree, side)) for tree in ensemble.trees]) + first)
        for side in ("right", "left")
    ]
    threshold = np.concatenate([np.asarray(tree.threshold) for tree in ensemble.trees])
    if ensemble.below == "<":  # the largest number that is below it, in the precision of the trees
        threshold = np.nextafter(threshold, np.array(-np.inf, dtype=threshold.dtype))
    value = np.concatenate([np.asarray(tree.value, dtype=np.float64) for tree in ensemble.trees])
    children = np.stack(sides, axis=1).astype(np.intp).ravel()
    return FlatTrees(
        roots=roots,
        feature=np.where(is_leaf, 0, np.concatenate([np.asarray(tree.feature) for tree in ensemble.trees])),
        threshold=threshold.astype(np.float64),
        missing_left=np.concatenate([np.asarray(tree.missing_left).astype(bool) for tree in ensemble.trees]),
        children=children,
        value=value if ensemble.divisor is None else value / ensemble.divisor,
        depth=_depth(roots, children, is_leaf),
        start=ensemble.start or 0.0,
    )


def _depth(roots: Array, children: Array, is_leaf: Array) -> int:
    """Steps from a root to the deepest leaf."""
    level, depth = roots[~is_leaf[roots]], 0
    while level.size:
        below = np.concatenate([children[2 * level], children[2 * level + 1]])
        level, depth = below[~is_leaf[below]], depth + 1
    return depth


def _inputs(coding: Coding | None, signature: Signature) -> tuple[int, ...]:
    """Of each column that trees ask about its input: all numbers, those of arrays too, then the sets of categories."""
    columns = enumerate(signature.columns)
    of = [place for place, column in columns for _ in range(math.prod(column.shape) if column.kind == "array" else 1)]
    if coding is None:
        return tuple(of)
    numbers = [of[at] for at in np.flatnonzero(~coding.is_category)]
    categories = zip(np.flatnonzero(coding.is_category), coding.tables, strict=True)
    return (*numbers, *(of[at] for at, table in categories for _ in range(table.shape[1])))


def _coded(coding: Coding, columns: list[Array]) -> Array:
    """All numbers, then for each category its row of the table of sets; one that is not known is a missing one."""
    numbers = [np.asarray(columns[i], dtype=np.float64)[:, None] for i in np.flatnonzero(~coding.is_category)]
    sets = []
    for place, known, table in zip(np.flatnonzero(coding.is_category), coding.known, coding.tables, strict=True):
        codes = {value: code for code, value in enumerate(known)}
        values = [MISSING_TEXT if value is None else value for value in columns[int(place)].tolist()]
        sets.append(table[[codes.get(value, -1) for value in values]])
    return np.concatenate([*numbers, *sets], axis=1)
