"""Baselines of a model that ranks: one score for all rows of a list, and a line of what rows of one list differ in.

What tells the rows of a list apart is all that an order is made of, so the line is fitted to the differences from the
list's own means: least squares over the pairs of each list, a long list weighing as its rows and not as its pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.gates.lists import Lists, in_lists
from kairos.gates.losses import loss_named
from kairos.models.baselines.fitted import Baselines
from kairos.models.baselines.fitting import MOST_ROWS, evenly, line_of, no_line, slopes_of
from kairos.models.baselines.linear import Linear, design, find_terms
from kairos.models.baselines.names import BASELINES, BaselineName
from kairos.models.frames import FrameColumn

__all__ = ["fit_of_order"]

Floats = NDArray[np.float64]

_TAIL = 0.2
"""Share of the lists, the latest, on which baselines are compared."""
_FEWEST = 20
"""With fewer lists one score for all is taken."""
_NO_LAST = "it ranks lists, and a last value is no order"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Training rows of the lists that tell of an order."""

    columns: Mapping[str, FrameColumn]
    target: Floats
    keys: NDArray[Any]
    chosen: NDArray[np.int64]
    """Their places in the table, ascending."""
    lists: Lists
    """Of the rows that are chosen."""

    def of(self, some: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places of the rows of some lists."""
        return self.chosen[np.isin(self.lists.of_row, some)]


def fit_of_order(
    columns: Mapping[str, FrameColumn],
    target: Floats,
    keys: NDArray[Any],
    at_s: NDArray[np.int64] | None,
    *,
    loss: str,
    asked: Sequence[BaselineName],
) -> Baselines:
    """Fits those that were asked for, and compares them on the last fifth of the lists; without a time on each fifth.

    Args:
        columns: Features of the training table.
        target: Relevance of its rows, shape (n,).
        keys: What rows of one list have in common, shape (n,).
        at_s: When rows were, shape (n,); a list is as late as its first row.
        loss: Of an order.
        asked: Names of baselines.
    """
    reasons: dict[BaselineName, str] = {"last_value": _NO_LAST} if "last_value" in asked else {}
    chosen = np.flatnonzero(Lists.of(keys).telling(target))
    rows = _Rows(columns=columns, target=target, keys=keys, chosen=chosen, lists=Lists.of(keys[chosen]))
    every = np.arange(len(rows.lists.sizes))
    why = no_line(columns, target, loss, ()) or (None if every.size else "no list of training tells of an order")
    if "linear" in asked and why is not None:
        reasons["linear"] = why
    names = [name for name in BASELINES if name in asked and name not in reasons]
    inner: dict[BaselineName, float] = dict.fromkeys(names, np.inf)
    if every.size >= _FEWEST:
        is_tail = every % 5 == 4
        if at_s is not None:
            first = at_s[rows.chosen[rows.lists.firsts]]
            is_tail = first > np.quantile(first, 1 - _TAIL, method="lower")
        if is_tail.any():
            inner = _inner(rows, names, every[~is_tail], every[is_tail], loss)
    ranked = sorted(inner, key=lambda name: (inner[name], BASELINES.index(name)))
    return Baselines(
        chosen=ranked[0] if ranked else None,
        inner=inner,
        left_out=reasons,
        linear=_line(rows, every) if "linear" in names else None,
    )


def _inner(
    rows: _Rows, names: Sequence[BaselineName], before: NDArray[np.int64], tail: NDArray[np.int64], loss: str
) -> dict[BaselineName, float]:
    """Mean losses on some lists, fitted to others."""
    judged = rows.of(tail)
    found: dict[BaselineName, float] = {}
    for name in names:
        scores = np.zeros(judged.size)
        if name == "linear":
            line = _line(rows, before)
            held = {each: rows.columns[each].values[judged] for each in line.terms.names}
            scores = line.answers(held, judged.size)
        truth, answers, _ = in_lists(rows.keys[judged], rows.target[judged], scores)
        found[name] = float(loss_named(loss)(truth, answers).mean())
    return found


def _line(rows: _Rows, some: NDArray[np.int64]) -> Linear:
    """Of at most ``MOST_ROWS`` rows, whole lists evenly over the table; every score begins with 0."""
    taken = rows.of(evenly(some, max(1, int(MOST_ROWS / rows.lists.sizes.mean()))))
    lists = Lists.of(rows.keys[taken])
    goal = _differences(rows.target[taken].reshape(-1, 1), lists)
    terms = find_terms(rows.columns, taken, goal)
    held = design(terms, {name: rows.columns[name].values[taken] for name in terms.names}, taken.size)
    slopes = slopes_of(_differences(held, lists), goal)
    return line_of(terms, np.vstack([slopes, np.zeros((1, 1))]))


def _differences(values: Floats, lists: Lists) -> Floats:
    """From the means of their lists, shape (rows, numbers)."""
    sums = np.zeros((len(lists.sizes), values.shape[1]))
    np.add.at(sums, lists.of_row, values)
    return np.asarray(values - (sums / lists.sizes[:, None])[lists.of_row])
