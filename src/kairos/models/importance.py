"""How much a model relies on each of its inputs: how far its answers move when that input is shuffled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kairos.models.ports import Runner

__all__ = ["input_importances"]

_MOST_ROWS = 500


def input_importances(
    runner: Runner, columns: Mapping[str, np.ndarray[Any, Any]], *, seed: int = 0, most_rows: int = _MOST_ROWS
) -> dict[str, float]:
    """The mean change of the answer when one input is shuffled among rows, each as a share of all of them.

    It needs no labels, and says what the model does, not what would be good. Of inputs that tell the same, each gets a
    part.

    Args:
        runner: Predicts.
        columns: Rows that the model accepts, each column of shape (n,).
        seed: Of the shuffling.
        most_rows: Of more rows, every second, third, ... is taken.

    Returns:
        By input; they add up to 1, or are all 0 if no input changes any answer.

    References:
        Breiman (2001), permutation importance, here of the answers instead of the loss.
    """
    rows = len(next(iter(columns.values())))
    step = max(1, -(-rows // most_rows))
    taken = {name: values[::step] for name, values in columns.items()}
    answers = np.asarray(runner.predict(taken), dtype=np.float64)
    # Of several numbers each counts in its own spread: one may be in thousands and one a chance.
    spread = answers.std(axis=0) if answers.ndim == 2 else np.array(1.0)
    scale = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
    random = np.random.default_rng(seed)
    moved = {}
    for name in sorted(taken):
        shuffled = {**taken, name: random.permutation(taken[name])}
        change = np.abs(np.asarray(runner.predict(shuffled), dtype=np.float64) - answers) / scale
        known = change[np.isfinite(change)]
        moved[name] = float(known.mean()) if known.size else 0.0
    total = sum(moved.values())
    return {name: value / total if total > 0 else 0.0 for name, value in moved.items()}
