"""Two small models about a model: what a row will lose, and whether it is a row of the past or of now.

Both are fitted in parts, and a row is only told about by models that have not seen its day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

__all__ = ["LossModel", "day_folds", "domain_chances", "fit_loss"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FOLDS = 5
_DOMAIN_FOLDS = 3
_HEAVIEST = 20.0
"""No row counts for more than this many."""
_OUTLIER = 0.999
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossModel:
    """What a row is expected to lose, from its inputs and its prediction."""

    parts: tuple[HistGradientBoostingRegressor, ...]
    """One for each part that was left out."""
    left_out: Floats
    """What was expected of each row it was fitted on, by the model that had not seen its day; shape (n,)."""

    def expect(self, inputs: Floats) -> Floats:
        """The expected loss by each of the models, shape (models, rows), 0 or more."""
        return np.array([np.maximum(part.predict(inputs), 0.0) for part in self.parts])


def day_folds(days: Ints, folds: int) -> Ints:
    """Which part each row belongs to, 0 to ``folds - 1``; rows of one day belong to the same."""
    return np.asarray(np.unique(days, return_inverse=True)[1] % folds, dtype=np.int64)


def fit_loss(
    inputs: Floats, losses: Floats, days: Ints, *, is_category: tuple[bool, ...], weights: Floats | None = None
) -> LossModel:
    """Learns what rows lose (direct loss estimation).

    Args:
        inputs: Of labelled rows that the model has not learnt from, its prediction among them, shape (n, p).
        losses: Shape (n,), 0 or more; the largest of a thousand count as the rest.
        days: Number of the day of each row, shape (n,).
        is_category: For each column of the inputs.
        weights: How much each row counts, shape (n,), mean 1; ``None``: all the same.
    """
    cut = np.minimum(losses, np.quantile(losses, _OUTLIER))
    heavy = np.ones_like(cut) if weights is None else np.minimum(weights, _HEAVIEST)
    fold = day_folds(days, _FOLDS)
    parts, left_out = [], np.full(losses.size, float(cut.mean()))
    for part in np.unique(fold):
        learnt = fold != part if np.unique(fold).size > 1 else np.ones(fold.size, dtype=bool)
        model = HistGradientBoostingRegressor(
            max_iter=60,
            learning_rate=0.08,
            max_leaf_nodes=8,
            min_samples_leaf=20,
            categorical_features=list(is_category),
            early_stopping=False,
            random_state=_SEED,
        )
        drawn = _drawn(np.flatnonzero(learnt), heavy)
        model.fit(inputs[drawn], cut[drawn])
        left_out[fold == part] = np.maximum(model.predict(inputs[fold == part]), 0.0)
        parts.append(model)
    return LossModel(parts=tuple(parts), left_out=left_out)


def domain_chances(
    old: Floats, new: Floats, old_days: Ints, new_days: Ints, *, is_category: tuple[bool, ...]
) -> tuple[Floats, Floats]:
    """The chance of every row to be a new one, given its inputs, by a model that has not seen its day.

    Args:
        old: Inputs of the reference, shape (n, p).
        new: Inputs of the new rows, shape (m, p).
        old_days: Number of the day of each row of the reference.
        new_days: The same of the new rows.
        is_category: For each column.

    Returns:
        Of the reference, shape (n,), and of the new rows, shape (m,).
    """
    inputs = np.vstack([old, new])
    is_new = np.append(np.zeros(len(old), dtype=np.int64), np.ones(len(new), dtype=np.int64))
    fold = np.append(day_folds(old_days, _DOMAIN_FOLDS), day_folds(new_days, _DOMAIN_FOLDS))
    chances = np.full(len(inputs), len(new) / len(inputs))
    for part in range(_DOMAIN_FOLDS):
        learnt = fold != part
        if np.unique(is_new[learnt]).size < 2 or learnt.all():
            continue
        model = HistGradientBoostingClassifier(
            max_iter=40,
            learning_rate=0.1,
            max_leaf_nodes=8,
            min_samples_leaf=20,
            categorical_features=list(is_category),
            early_stopping=False,
            random_state=_SEED,
        )
        model.fit(inputs[learnt], is_new[learnt])
        chances[~learnt] = model.predict_proba(inputs[~learnt])[:, 1]
    return chances[: len(old)], chances[len(old) :]


def _drawn(rows: Ints, weights: Floats) -> Ints:
    """As many of the rows, each as often as its weight says: fitting with weights takes seven times as long."""
    up_to = np.cumsum(weights[rows])
    places = (np.arange(rows.size) + 0.5) / rows.size * up_to[-1]
    return np.asarray(rows[np.searchsorted(up_to, places)])
