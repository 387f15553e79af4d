"""How much each input of one row contributed to its answer: Shapley values against a typical row.

The game is ``v(S)``: the answer to a row that has the inputs of ``S`` from the row and all others from the typical one.
An input's contribution is what adding it changes, as a mean over all orders of adding them. So the typical row's answer
and all contributions add up to the row's answer, an input that equals the typical one contributes nothing, and nothing
is assumed of how inputs go together: the model may be asked about rows that nobody ever sent.

References:
    Shapley (1953). Lundberg & Lee (2017), a single background row. Lundberg et al. (2020), interventional TreeSHAP.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from kairos.models.trees import FlatTrees  # it loads scikit-learn

__all__ = ["MOST_EXACT", "Contributions", "contributions", "tree_contributions"]

Array = np.ndarray[Any, Any]
Columns = Mapping[str, Array]

MOST_EXACT = 12
"""Up to so many inputs that differ from the typical row, all their subsets are asked about."""

_ROWS = 40_000
"""About so many rows are asked about where there are more."""

_MOST_ORDERS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """What each input contributed to one answer."""

    base: float
    """The typical row's answer."""
    answer: float
    """The row's; ``base`` and all contributions add up to it."""
    by_input: dict[str, float]
    errors: dict[str, float]
    """Standard errors of those that were sampled; 0 of exact ones."""
    method: Literal["subsets", "trees", "orders"]
    """All subsets of inputs, exact; walking the trees, exact; a sample of orders."""
    asked: int
    """Rows that the model was asked about."""


def contributions(
    predict: Callable[[Columns], Array], row: Columns, typical: Columns, *, seed: int = 0, most_exact: int = MOST_EXACT
) -> Contributions:
    """Shapley values of any model: exact over all subsets of few inputs, else a mean over sampled orders.

    Args:
        predict: One finite number a row, shape (n,).
        row: One array of shape (1,) a column.
        typical: The same columns, of the row to compare with.
        seed: Of the sampled orders.
        most_exact: Up to so many inputs that differ all subsets are asked about.
    """
    differ = [name for name in row if not _same(row[name][0], typical[name][0])]
    game = _Game(predict, row, typical, differ)
    if len(differ) <= most_exact:
        values, errors, method = *_exact(game, len(differ)), "subsets"
    else:
        values, errors, method = *_sampled(game, len(differ), seed), "orders"
    ends = game(np.array([[False] * len(differ), [True] * len(differ)]))
    return Contributions(
        base=float(ends[0]),
        answer=float(ends[1]),
        by_input=dict.fromkeys(row, 0.0) | dict(zip(differ, values.tolist(), strict=True)),
        errors=dict.fromkeys(row, 0.0) | dict(zip(differ, errors.tolist(), strict=True)),
        method="subsets" if method == "subsets" else "orders",
        asked=game.asked,
    )


def tree_contributions(
    trees: FlatTrees, row: Array, typical: Array, names: Sequence[str], *, inputs: Sequence[int] | None = None
) -> Contributions:
    """The same of a sum of trees, exact for any number of inputs: a leaf counts for the inputs that lead to it.

    Args:
        trees: Flat.
        row: What the trees see of it, shape (columns,), NaN where missing.
        typical: The same, of the row to compare with.
        names: Of the inputs.
        inputs: Which input each column is of, where trees see several columns of one; ``None``: each is one.
    """
    found = np.zeros(len(names))
    both = np.stack([row, typical])
    of = range(len(names)) if inputs is None else inputs
    for root in trees.roots:
        _walk(trees, int(root), both, of, frozenset(), frozenset(), found)
    answer, base = (float(trees.raw(each[None])[0]) for each in both)
    return Contributions(
        base=base,
        answer=answer,
        by_input=dict(zip(names, found.tolist(), strict=True)),
        errors=dict.fromkeys(names, 0.0),
        method="trees",
        asked=2,
    )


def _walk(
    trees: FlatTrees,
    node: int,
    both: Array,
    inputs: Sequence[int],
    own: frozenset[int],
    other: frozenset[int],
    found: Array,
) -> None:
    """Adds what the leaves below a node give.

    A leaf is reached by subsets that hold all of ``own``, whose values in the row lead here, and none of ``other``.
    """
    if trees.children[2 * node] == node:
        value, ours, theirs = float(trees.value[node]), len(own), len(other)
        whole = math.factorial(ours + theirs)
        for asked in own:
            found[asked] += value * math.factorial(ours - 1) * math.factorial(theirs) / whole
        for asked in other:
            found[asked] -= value * math.factorial(ours) * math.factorial(theirs - 1) / whole
        return
    column = int(trees.feature[node])
    here, there = (
        int(trees.children[2 * node + bool(x <= trees.threshold[node] or (np.isnan(x) and trees.missing_left[node]))])
        for x in both[:, column]
    )
    asked = inputs[column]
    if here == there or asked in own:
        _walk(trees, here, both, inputs, own, other, found)
    elif asked in other:
        _walk(trees, there, both, inputs, own, other, found)
    else:
        _walk(trees, here, both, inputs, own | {asked}, other, found)
        _walk(trees, there, both, inputs, own, other | {asked}, found)


class _Game:
    """Answers to rows that are part the row, part the typical one."""

    def __init__(
        self, predict: Callable[[Columns], Array], row: Columns, typical: Columns, differ: Sequence[str]
    ) -> None:
        self._predict, self._row, self._typical, self._differ = predict, row, typical, differ
        self.asked = 0

    def __call__(self, taken: Array) -> Array:
        """Answers, shape (n,), where ``taken``, shape (n, inputs that differ), says what is from the row."""
        count = len(taken)
        self.asked += count
        columns = {name: np.repeat(values, count, axis=0) for name, values in self._row.items()}
        for place, name in enumerate(self._differ):
            both = np.concatenate([self._typical[name], self._row[name]])
            columns[name] = both[taken[:, place].astype(np.intp)]
        return np.asarray(self._predict(columns), dtype=np.float64)


def _exact(game: _Game, inputs: int) -> tuple[Array, Array]:
    subsets = np.arange(2**inputs)
    taken = (subsets[:, None] >> np.arange(inputs)) & 1 == 1
    answers, sizes = game(taken), taken.sum(axis=1)
    weight = np.array([1 / (inputs * math.comb(inputs - 1, size)) for size in range(inputs)])
    found = np.empty(inputs)
    for place in range(inputs):
        without = subsets[~taken[:, place]]
        found[place] = weight[sizes[without]] @ (answers[without | (1 << place)] - answers[without])
    return found, np.zeros(inputs)


def _sampled(game: _Game, inputs: int, seed: int) -> tuple[Array, Array]:
    """Means over pairs of an order and its reverse, whose errors partly cancel; and their standard errors."""
    pairs = int(np.clip(_ROWS // (2 * (inputs + 1)), 10, _MOST_ORDERS // 2))
    random = np.random.default_rng(seed)
    means = np.empty((pairs, inputs))
    for pair in range(pairs):
        order = random.permutation(inputs)
        orders = np.stack([order, order[::-1]])
        # Step k of an order has its first k inputs from the row.
        rank = np.argsort(orders, axis=1)
        taken = rank[:, None, :] < np.arange(inputs + 1)[None, :, None]
        steps = np.diff(game(taken.reshape(-1, inputs)).reshape(2, inputs + 1), axis=1)
        means[pair] = np.take_along_axis(steps, rank, axis=1).mean(axis=0)
    return means.mean(axis=0), means.std(axis=0, ddof=1) / math.sqrt(pairs)


def _same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, np.asarray(other)))
    return bool(one == other) or (one != one and other != other)  # NaN is no other value than NaN
