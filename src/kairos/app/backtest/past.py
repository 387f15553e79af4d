"""Rows in the order of time whose truth comes later: what models fitted on parts of them lose, and who answers when."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.gates.losses import loss_named
from kairos.stats.arrays import Floats

__all__ = ["Change", "Cut", "Past", "answering", "change_cost", "lived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Which rows a model learnt from."""

    until: float
    """Rows before this day, in days since the past began."""
    days: float
    """And not older than so many days before that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From when on a model answers."""

    at: float
    """Day."""
    cut: Cut


@dataclass(frozen=True, kw_only=True, eq=False)
class Past:
    """Rows in the order of time; the first ``history_days`` are only learnt from, and the rest is answered."""

    day: Floats
    """When each row is from, in days since the past began, shape (n,), not falling."""
    label: NDArray[Any]
    """Shape (n,); of several targets (n, targets), of lists their relevances (n, longest), NaN behind the end."""
    loss: str
    """Name of a loss of ``kairos.gates.losses``."""
    delay_days: float = 1.0
    """So much later the truth of a row is known."""
    history_days: float = 182.0
    """How far back a training looks."""
    holdout_days: float = 14.0
    """The newest rows, as many days of them, that a training holds out for the gate."""
    _answers: dict[Cut, NDArray[Any]] = field(default_factory=dict, repr=False)

    @property
    def start(self) -> float:
        """The day on which the first model begins to answer."""
        return self.history_days

    @property
    def end(self) -> float:
        """The day after the last row."""
        return math.floor(float(self.day[-1])) + 1.0

    @property
    def first(self) -> Change:
        """The first model: it learnt from all that is known when it begins."""
        return Change(at=self.start, cut=Cut(until=self.start - self.delay_days, days=self.history_days))

    def rows(self, start: float, end: float) -> slice:
        """The rows of the days ``[start, end)``."""
        first, last = np.searchsorted(self.day, [start, end])
        return slice(int(first), int(last))

    def learns(self, cut: Cut) -> slice:
        """The rows that a cut takes."""
        return self.rows(cut.until - cut.days, cut.until)

    def answers(self, cut: Cut) -> NDArray[Any]:
        """What the model of a cut says about every row, shape (n,) or (n, numbers); NaN before its ``until``."""
        if cut not in self._answers:
            self._answers[cut] = self.work_out(cut)
        return self._answers[cut]

    def work_out(self, cut: Cut) -> NDArray[Any]:
        """The same, fitted now; once for each cut."""
        raise NotImplementedError

    def losses(self, cut: Cut) -> Floats:
        """The loss of every row, shape (n,); NaN before its ``until``."""
        answers, out = self.answers(cut), np.full(self.day.size, np.nan)
        seen = self.rows(cut.until, math.inf)
        out[seen] = loss_named(self.loss)(self.label[seen], answers[seen].astype(np.float64))
        return out

    def daily(self, values: Floats, start: float, end: float) -> tuple[Floats, NDArray[np.int64]]:
        """Sums of values and numbers of rows for each day in ``[start, end)`` that has rows."""
        part = self.rows(start, end)
        days, which = np.unique(np.floor(self.day[part]), return_inverse=True)
        sums = np.bincount(which, weights=values[part], minlength=days.size).astype(np.float64)
        return sums, np.bincount(which, minlength=days.size).astype(np.int64)


def answering(past: Past, schedule: Sequence[Change]) -> list[tuple[Change, slice]]:
    """Each model with the rows that it answers."""
    ends = [*(change.at for change in schedule[1:]), math.inf]
    return [(change, past.rows(change.at, end)) for change, end in zip(schedule, ends, strict=True)]


def lived(past: Past, schedule: Sequence[Change], losses: Callable[[Cut], Floats] | None = None) -> Floats:
    """The losses of all rows from the start on, in the order of time.

    Args:
        past: Of rows.
        schedule: Who answers when.
        losses: Of the model of a cut, one a row; ``None``: those of ``past.losses``.
    """
    of = losses or past.losses
    parts = [of(change.cut)[rows] for change, rows in answering(past, schedule)]
    return np.concatenate(parts)


def change_cost(past: Past, level: float) -> float:
    """What one change costs, as a sum of losses: a day's, as the default of ``RetrainPolicy`` has it.

    Args:
        past: Tells how many rows a day has.
        level: What a fresh model loses, a row.
    """
    answered = past.day.size - past.rows(past.start, math.inf).start
    return float(level * answered / (past.end - past.start))
