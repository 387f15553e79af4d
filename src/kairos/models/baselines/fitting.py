"""Fits the line: ridge regression in closed form; of chances and classes a logistic regression."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from kairos.gates.loss_names import CHANCE_LOSSES, pinball_quantiles
from kairos.models.baselines.linear import Linear, Terms, design, find_terms
from kairos.models.frames import FrameColumn
from kairos.models.outputs import Output

__all__ = ["MOST_ROWS", "evenly", "fit_linear", "line_of", "no_line", "slopes_of"]

Floats = NDArray[np.float64]

MOST_ROWS = 20_000
"""Rows that a line is fitted on, evenly over the table: a few hundred weights need no more."""
_MOST_CLASSES = 30
_PENALTY = 1.0
"""Of squared weights, beside the sum of squares over the rows: a hundred rows feel it, ten thousand do not."""
_NEVER = -30.0
"""Log-odds of a class that no row of these holds."""


def no_line(columns: Mapping[str, FrameColumn], target: Floats, loss: str, outputs: Sequence[Output]) -> str | None:
    """Why no line is fitted; ``None``: one is."""
    if all(column.kind in ("text", "array") for column in columns.values()):
        has_arrays = any(column.kind == "array" for column in columns.values())
        return "every input is an array, or free text" if has_arrays else "every input is free text"
    if _classes_of(target, loss, outputs) is not None:
        held = len(np.unique(target))
        if held < 2:
            return "all rows are of one class"
        if held > _MOST_CLASSES:
            return f"there are more than {_MOST_CLASSES} classes"
    return None


def fit_linear(
    columns: Mapping[str, FrameColumn], target: Floats, loss: str, outputs: Sequence[Output], rows: NDArray[np.int64]
) -> Linear:
    """Fits a line to some rows, of which it takes at most ``MOST_ROWS``.

    The same rows give the same weights, which are rounded to nine digits. What every answer begins with is set so that
    the loss is least: for the absolute error the residuals' median is 0, for a pinball loss their quantile.

    Args:
        columns: Of the training table.
        target: Of the training table, as ``Goal`` has it.
        loss: By which the model is judged.
        outputs: Of the model.
        rows: Places of the rows, ascending.
    """
    chosen = evenly(rows, MOST_ROWS)
    goal = target[chosen]
    terms = find_terms(columns, chosen, goal)
    held = design(terms, {name: columns[name].values[chosen] for name in terms.names}, chosen.size)
    classes = _classes_of(target, loss, outputs)
    if classes is None:
        weights = _ridge(held, goal.reshape(goal.shape[0], -1), loss)
        return line_of(terms, weights)
    if loss in CHANCE_LOSSES and not outputs:
        return replace(line_of(terms, _logistic(held, goal, np.array([0.0, 1.0]))[:, 1:]), link="logistic")
    line = replace(line_of(terms, _logistic(held, goal, classes)), link="softmax")
    return line if outputs else replace(line, classes=tuple(classes.tolist()))


def evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of the rows, evenly from the first to the last.

    >>> evenly(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    if rows.size <= most:
        return rows
    return rows[np.linspace(0, rows.size - 1, most).round().astype(np.int64)]


def _classes_of(target: Floats, loss: str, outputs: Sequence[Output]) -> Floats | None:
    """What is told apart, as the target has it; ``None``: the target is a number."""
    if outputs:
        is_class = outputs[0].kind == "class"
        return np.arange(len(outputs[0].classes), dtype=np.float64) if is_class else None
    return np.unique(target) if loss in CHANCE_LOSSES or loss == "zero_one" else None


def line_of(terms: Terms, weights: Floats) -> Linear:
    """A line of these weights, shape (terms + 1, numbers), rounded to nine digits."""
    return Linear(terms=terms, weights=tuple(tuple(float(f"{each:.9g}") for each in row) for row in weights))


def _ridge(held: Floats, goal: Floats, loss: str) -> Floats:
    """Shape (terms + 1, numbers)."""
    middle, centre = held.mean(axis=0), goal.mean(axis=0)
    x, y = held - middle, goal - centre
    slopes = slopes_of(x, y)
    residual = goal - held @ slopes
    quantiles = pinball_quantiles(loss)
    if len(quantiles) > 1:
        return np.vstack([np.repeat(slopes, len(quantiles), axis=1), np.quantile(residual[:, 0], quantiles)])
    if quantiles or loss == "absolute_error":
        return np.vstack([slopes, np.quantile(residual, quantiles[0] if quantiles else 0.5, axis=0)])
    return np.vstack([slopes, residual.mean(axis=0)])


def slopes_of(x: Floats, y: Floats) -> Floats:
    """Of ridge regression, if all means are 0: shape (terms, numbers); without terms (0, numbers)."""
    return np.asarray(np.linalg.solve(x.T @ x + _PENALTY * np.eye(x.shape[1]), x.T @ y))


def _logistic(held: Floats, goal: Floats, classes: Floats) -> Floats:
    """A column of log-odds for each class, shape (terms + 1, classes); of two the first is 0."""
    known = np.unique(goal)
    places = np.searchsorted(classes, known)
    found = np.zeros((held.shape[1] + 1, classes.size))
    found[-1] = _NEVER
    if known.size == 1 or not held.shape[1]:
        counts = np.array([(goal == each).sum() for each in known])
        found[-1, places] = np.log(counts / counts.sum())
    else:
        model: Any = LogisticRegression(C=1 / _PENALTY, max_iter=60, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a line that is nearly there is a line
            model.fit(held, np.searchsorted(known, goal))
        own = np.vstack([model.coef_.T, model.intercept_])
        found[:, places] = own if known.size > 2 else np.hstack([np.zeros_like(own), own])
    if classes.size == 2:
        found -= found[:, :1].copy()
    return found
