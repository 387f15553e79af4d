"""Which baselines apply to a model, fitted, and which of them is the best on rows of training that it did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.errors import DataRefused
from kairos.gates.loss_names import CHANCE_LOSSES
from kairos.gates.losses import loss_named
from kairos.models.baseline import simple_answer, simple_baseline
from kairos.models.baselines.fitted import Baselines, constant_answers, last_answers
from kairos.models.baselines.fitting import MOST_ROWS, evenly, fit_linear, no_line
from kairos.models.baselines.last_value import WEEK_S, History, LastValue, codes_of, suits_week
from kairos.models.baselines.names import BASELINES, BaselineName
from kairos.models.baselines.order import fit_of_order
from kairos.models.frames import FrameColumn, column_names, read_moments
from kairos.models.outputs import Output

__all__ = ["Series", "fit_baselines"]

Floats = NDArray[np.float64]

_TAIL = 0.2
"""Share of the training rows, the latest, on which baselines are compared."""
_FEWEST = 20
"""With fewer rows of training the constant is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How rows follow each other: what the last value needs."""

    time: str | None
    entity: str | None
    delay_s: float
    """How late a truth is known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """The training rows, and how answers are judged."""

    columns: Mapping[str, FrameColumn]
    target: Floats
    outputs: Sequence[Output]
    loss: str
    history: History | None

    def constant(self, rows: NDArray[np.int64]) -> tuple[float, ...]:
        if self.outputs:
            return simple_answer(self.target[rows], self.loss, self.outputs)
        return (simple_baseline(self.target[rows], self.loss),)

    def judged(self, answers: Floats, rows: NDArray[np.int64]) -> float:
        """Mean loss; a row without an answer has the constant's."""
        return float(loss_named(self.loss)(self.target[rows], answers).mean())


def fit_baselines(
    table: Any,
    columns: Mapping[str, FrameColumn],
    target: Floats,
    outputs: Sequence[Output],
    *,
    loss: str,
    asked: Sequence[BaselineName],
    series: Series,
    lists: NDArray[np.int64] | None = None,
) -> Baselines:
    """Fits those that were asked for and apply, and compares them on the last fifth of the rows, or lists.

    Without a time, each fifth row is compared on instead. A tie goes to the simpler one.

    Args:
        table: The training table, which has the time and the entity.
        columns: Its features.
        target: As ``Goal`` has it.
        outputs: Of the model.
        loss: By which the model is judged.
        asked: Names of baselines.
        series: Names of columns, and how late truths are known.
        lists: Of a model that ranks: the number of each row's list, shape (n,).
    """
    if lists is not None:
        return fit_of_order(columns, target, lists, _moments(table, series.time), loss=loss, asked=asked)
    reasons: dict[BaselineName, str] = {}
    history = None
    if "last_value" in asked:
        history, why = _history(table, target, outputs, loss, series)
        if why is not None:
            reasons["last_value"] = why
    if "linear" in asked and (why := no_line(columns, target, loss, outputs)) is not None:
        reasons["linear"] = why
    names = [name for name in BASELINES if name in asked and name not in reasons]
    fit = _Fit(columns=columns, target=target, outputs=outputs, loss=loss, history=history)
    before, tail = _split(len(target), history, table, series.time)
    everything = np.arange(len(target))
    inner: dict[BaselineName, float] = {}
    last = LastValue(delay_s=series.delay_s) if "last_value" in names else None
    if before.size and tail.size:
        last, inner = _inner(fit, names, last, before, tail)
    if not inner:  # too few rows to tell: the simplest
        inner = dict.fromkeys(names, np.inf)
    for name in names:
        if name not in inner:
            reasons[name] = "the rows before the last fifth of training are of one class"
    ranked = sorted(inner, key=lambda name: (inner[name], BASELINES.index(name)))
    return Baselines(
        chosen=ranked[0] if ranked else None,
        inner=inner,
        left_out=reasons,
        linear=fit_linear(columns, target, loss, outputs, everything) if "linear" in inner else None,
        last_value=last,
    )


def _inner(
    fit: _Fit,
    names: Sequence[BaselineName],
    last: LastValue | None,
    before: NDArray[np.int64],
    tail: NDArray[np.int64],
) -> tuple[LastValue | None, dict[BaselineName, float]]:
    """Mean losses on the tail, and how the last value is best looked for."""
    constant = fit.constant(before)
    losses: dict[BaselineName, float] = {}
    if "constant" in names:
        losses["constant"] = fit.judged(constant_answers(constant, tail.size, fit.outputs), tail)
    if last is not None and fit.history is not None:
        ways = [last, replace(last, season_s=WEEK_S)] if suits_week(fit.history) else [last]
        at_s, entity = fit.history.at_s[tail], fit.history.entity[tail]
        told = [
            fit.judged(last_answers(way, fit.history, at_s, entity, constant=constant, outputs=fit.outputs), tail)
            for way in ways
        ]
        best = int(np.argmin(told))
        last, losses["last_value"] = ways[best], told[best]
    if "linear" in names and no_line(fit.columns, fit.target[before], fit.loss, fit.outputs) is None:
        line = fit_linear(fit.columns, fit.target, fit.loss, fit.outputs, before)
        held = {name: fit.columns[name].values[tail] for name in line.terms.names}
        losses["linear"] = fit.judged(line.answers(held, tail.size), tail)
    return last, losses


def _split(
    rows: int, history: History | None, table: Any, time: str | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the rows that baselines are fitted to, and of at most 20,000 of those they are compared on."""
    everything = np.arange(rows)
    if rows < _FEWEST:
        return everything, everything[:0]
    at = history.at_s if history is not None else _moments(table, time)
    is_tail = everything % 5 == 4 if at is None else at > np.quantile(at, 1 - _TAIL, method="lower")
    return everything[~is_tail], evenly(everything[is_tail], MOST_ROWS)


def _moments(table: Any, time: str | None) -> NDArray[np.int64] | None:
    """Whole seconds; ``None`` if the table has no times."""
    if time is None or time not in column_names(table):
        return None
    try:
        return read_moments(table, time).astype("datetime64[s]").astype(np.int64)
    except DataRefused:  # a time is missing: the rows have no order
        return None


def _history(
    table: Any, target: Floats, outputs: Sequence[Output], loss: str, series: Series
) -> tuple[History | None, str | None]:
    """The truths of training, or why no last value can be told."""
    kind = outputs[0].kind if outputs else None
    if loss in CHANCE_LOSSES:
        return None, "a last value is no chance"
    if kind == "quantiles":
        return None, "a last value is one number, and several quantiles are asked for"
    if kind == "number" and not series.delay_s:
        return None, "there are several targets, and how late they are known is not told (project.label_delay)"
    if series.time is None:
        return None, "the settings name no time"
    at_s = _moments(table, series.time)
    if at_s is None:
        return None, f"the training table has no {series.time!r}, or not in every row"
    entity = np.zeros(len(at_s), dtype=np.int64)
    if series.entity is not None:
        if series.entity not in column_names(table):
            return None, f"the training table has no {series.entity!r}"
        (entity,) = codes_of(table[series.entity].to_list())
    elif len(np.unique(at_s)) < len(at_s):
        return None, "rows share a moment, and the settings name no entity that tells them apart"
    return History(at_s=at_s, entity=entity, truth=target), None
