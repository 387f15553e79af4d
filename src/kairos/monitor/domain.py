"""Can a classifier tell the rows of a window from those of the reference? One number for all columns together.

Changes that no single column shows, such as two columns that no longer go together, are seen here. Needs rows, not
counts: a sample of some thousand of each is enough. Loads scikit-learn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import check_alpha
from kairos.values import PValue

__all__ = ["DomainShift", "domain_shift"]

_FOLDS = 5
_MIN_ROWS = 100
"""Of each side; with fewer a classifier learns nothing that holds on other rows."""

_NOTHING = 0.005
"""A column without which no more of the area is lost is not told of."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainShift:
    """How well window and reference can be told apart, on rows that the classifier did not learn from."""

    auc: float
    """Chance that, of a row of each, the window's is the one that looks like the window; 0.5: no difference."""
    lower: float
    """The area is above this with chance ``1 - alpha``."""
    upper: float
    """The area is below this with chance ``1 - alpha``."""
    p_value: PValue
    """Chance of an area as large as this if the true one were what is tolerated."""
    alarm: bool
    """``p_value <= alpha``."""
    too_small: bool
    """Too few rows for a classifier, or halfway from what is tolerated to certainty is not ruled out: keep counting."""
    moved: tuple[tuple[str, float], ...]
    """Columns by how much of the area is lost without them, largest first; none while ``lower`` is 0.5 or less."""


def domain_shift(
    reference: Mapping[str, NDArray[Any]],
    window: Mapping[str, NDArray[Any]],
    *,
    tolerated: float = 0.60,
    alpha: float = 0.05,
    reference_blocks: ArrayLike | None = None,
    window_blocks: ArrayLike | None = None,
    seed: int = 0,
) -> DomainShift:
    """Tests whether the two can be told apart better than tolerated. One look.

    Gradient-boosted trees are fitted on four fifths and asked about the rest, five times. Rows of one block (a day, an
    entity) stay together, in a fold and in the variance, or likeness within a day would pass for a change.

    Args:
        reference: Columns, each of shape (n,); numbers with NaN, or text, flags and ``None`` as categories.
        window: The same columns, each of shape (m,).
        tolerated: The largest area under the curve that does not matter, from 0.5 to below 1.
        alpha: Chance of a false alarm when the true area is ``tolerated``, and of error of each bound.
        reference_blocks: What rows belong together, one a row; ``None``: rows are independent.
        window_blocks: The same for the window; no block is in both.
        seed: Of folds and permutations.

    Raises:
        ShapeMismatch: columns or rows differ in number.
        UsageError: a limit is out of range.

    References:
        Lopez-Paz & Oquab (2017); DeLong et al. (1988) and Obuchowski (1997) for the variance.
    """
    check_alpha(alpha)
    if not 0.5 <= tolerated < 1:
        raise UsageError("The tolerated area is none.", given=tolerated, accepted="0.5 or more, below 1")
    x, n, m = _matrix(reference, window)
    blocks = _blocks(n, m, reference_blocks, window_blocks)
    if min(n, m) < _MIN_ROWS or np.unique(blocks[:n]).size < _FOLDS or np.unique(blocks[n:]).size < _FOLDS:
        return DomainShift(auc=0.5, lower=0.0, upper=1.0, p_value=PValue(1.0), alarm=False, too_small=True, moved=())
    is_window = np.repeat([0, 1], [n, m])
    folds = _folds(blocks, is_window, seed)
    scores, without = _cross_fitted(x, is_window, folds, seed)
    auc, se, freedom = _area(scores, is_window, blocks)
    p_value = float(special.stdtr(freedom, -(auc - tolerated) / se)) if se > 0 else float(auc <= tolerated)
    half = float(special.stdtrit(freedom, 1 - alpha)) * se
    kept = auc - half > 0.5
    lost = {name: auc - _area(one, is_window, blocks)[0] for name, one in zip(reference, without, strict=True)}
    alarm = p_value <= alpha
    return DomainShift(
        auc=auc,
        lower=max(0.0, auc - half),
        upper=min(1.0, auc + half),
        p_value=PValue(p_value),
        alarm=alarm,
        too_small=not alarm and auc + half >= (1 + tolerated) / 2,
        moved=tuple(
            sorted(((k, v) for k, v in lost.items() if kept and v > _NOTHING), key=lambda item: (-item[1], item[0]))
        ),
    )


def _matrix(reference: Mapping[str, NDArray[Any]], window: Mapping[str, NDArray[Any]]) -> tuple[list[Floats], int, int]:
    """Both below each other, column by column; categories as the ranks of their frequency, missing as NaN."""
    if not reference or set(reference) != set(window):
        raise ShapeMismatch("The two do not have the same columns.", given=f"{sorted(reference)} and {sorted(window)}")
    sizes = [{len(column) for column in side.values()} for side in (reference, window)]
    if any(len(size) != 1 for size in sizes):
        raise ShapeMismatch("Columns have different numbers of rows.", given=f"{sizes[0]} and {sizes[1]}")
    return [_numbers([*reference[name], *window[name]]) for name in reference], sizes[0].pop(), sizes[1].pop()


def _numbers(values: list[Any]) -> Floats:
    if all(
        value is None or (isinstance(value, (int, float, np.number)) and not isinstance(value, bool))
        for value in values
    ):
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    counted = Counter(str(value) for value in values if value is not None)
    codes = {name: code for code, (name, _) in enumerate(sorted(counted.items(), key=lambda item: (-item[1], item[0])))}
    return np.array([math.nan if value is None else codes[str(value)] for value in values], dtype=np.float64)


def _blocks(n: int, m: int, reference: ArrayLike | None, window: ArrayLike | None) -> NDArray[np.int64]:
    """A number for each row's block; blocks of the two sides are different ones."""
    sides = []
    for rows, given in ((n, reference), (m, window)):
        names = np.arange(rows) if given is None else np.asarray(given)
        if names.shape != (rows,):
            raise ShapeMismatch("Rows and blocks are not paired.", given=f"{rows} rows, {names.size} blocks")
        sides.append(np.unique(names, return_inverse=True)[1])
    return np.concatenate([sides[0], sides[1] + sides[0].max(initial=0) + 1]).astype(np.int64)


def _folds(blocks: NDArray[np.int64], is_window: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A fold for each row: blocks of each side are dealt out in random order, so every fold has rows of both."""
    rng, fold_of = np.random.default_rng(seed), np.zeros(int(blocks.max()) + 1, dtype=np.int64)
    for side in (0, 1):
        mine = rng.permutation(np.unique(blocks[is_window == side]))
        fold_of[mine] = np.arange(mine.size) % _FOLDS
    return fold_of[blocks]


def _cross_fitted(
    x: list[Floats], is_window: NDArray[np.int64], folds: NDArray[np.int64], seed: int
) -> tuple[Floats, list[Floats]]:
    """Scores of all rows, and the same with each column in turn shuffled among the rows that are asked about."""
    table, rng = np.stack(x, axis=1), np.random.default_rng(seed)
    scores, without = np.zeros(len(table)), [np.zeros(len(table)) for _ in x]
    for fold in range(_FOLDS):
        asked = folds == fold
        model = HistGradientBoostingClassifier(
            max_iter=30, max_leaf_nodes=8, min_samples_leaf=20, early_stopping=False, random_state=seed
        )
        weight = np.where(is_window == 1, (is_window == 0).mean(), (is_window == 1).mean())
        model.fit(table[~asked], is_window[~asked], sample_weight=weight[~asked])
        scores[asked] = model.decision_function(table[asked])
        for number in range(len(x)):
            shuffled = table[asked].copy()
            shuffled[:, number] = rng.permutation(shuffled[:, number])
            without[number][asked] = model.decision_function(shuffled)
    return scores, without


def _area(scores: Floats, is_window: NDArray[np.int64], blocks: NDArray[np.int64]) -> tuple[float, float, int]:
    """Area under the curve, its standard error with rows of a block together, and degrees of freedom.

    Scores of different folds are compared with each other: within folds there are few blocks on either side, and the
    standard error comes out a fifth too small.
    """
    sides = [is_window == side for side in (0, 1)]
    ranks, placed = rankdata(scores), np.zeros(scores.size)  # share of the other side's rows on whose right side it is
    placed[sides[1]] = (ranks[sides[1]] - rankdata(scores[sides[1]])) / sides[0].sum()
    placed[sides[0]] = 1 - (ranks[sides[0]] - rankdata(scores[sides[0]])) / sides[1].sum()
    auc = float(placed[sides[1]].mean())
    variance, freedom = 0.0, scores.size
    for side in sides:
        sums = np.bincount(blocks[side] - blocks[side].min(), weights=placed[side] - auc)
        variance += float((sums**2).sum()) * sums.size / (sums.size - 1) / int(side.sum()) ** 2
        freedom = min(freedom, sums.size - 1)
    return auc, math.sqrt(variance), freedom
