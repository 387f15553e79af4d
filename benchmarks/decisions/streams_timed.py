"""Rows in the order of time whose truth comes later: what models fitted on parts of them lose, and who answers when."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions.streams import Floats
from kairos.gates.losses import loss_named

__all__ = ["Change", "Cut", "Learner", "TimedStream", "answering", "change_cost", "lived"]


class Learner(Protocol):
    """Anything of scikit-learn that can be fitted; with ``predict_proba`` it answers chances."""

    def fit(self, inputs: Floats, label: Floats, /) -> Any:
        """Learns."""
        ...

    def predict(self, inputs: Floats, /) -> Any:
        """Answers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Which rows a model learnt from."""

    until: float
    """Rows before this day, in days since the stream began."""
    days: float
    """And not older than so many days before that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From when on a model answers."""

    at: float
    """Day."""
    cut: Cut


@dataclass(frozen=True, kw_only=True, eq=False)
class TimedStream:
    """Rows in the order of time; the first ``history_days`` are only learnt from, and the rest is answered."""

    name: str
    day: Floats
    """When each row is from, in days since the stream began, shape (n,), not falling."""
    inputs: Floats
    """Shape (n, inputs)."""
    label: Floats
    """Shape (n,)."""
    learner: Callable[[], Learner]
    loss: str
    """Name of a loss of ``kairos.gates.losses``."""
    delay_days: float = 1.0
    """So much later the truth of a row is known."""
    history_days: float = 182.0
    """How far back a training looks."""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """What leaves the service is clipped to this."""
    is_real: bool = False
    """Whether it was observed, and not made up."""
    _answers: dict[Cut, NDArray[np.float32]] = field(default_factory=dict, repr=False)

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

    def answers(self, cut: Cut) -> NDArray[np.float32]:
        """What the model of a cut says about every row, shape (n,); NaN about rows before its ``until``."""
        if cut not in self._answers:
            self._answers[cut] = _kept(self, cut)
        return self._answers[cut]

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


def answering(stream: TimedStream, schedule: Sequence[Change]) -> list[tuple[Change, slice]]:
    """Each model with the rows that it answers."""
    ends = [*(change.at for change in schedule[1:]), math.inf]
    return [(change, stream.rows(change.at, end)) for change, end in zip(schedule, ends, strict=True)]


def lived(stream: TimedStream, schedule: Sequence[Change]) -> Floats:
    """The losses of all rows from the start on, in the order of time."""
    parts = [stream.losses(change.cut)[rows] for change, rows in answering(stream, schedule)]
    return np.concatenate(parts)


def change_cost(stream: TimedStream, level: float) -> float:
    """What one change costs, as a sum of losses: a day's, as the default of ``RetrainPolicy`` has it.

    Args:
        stream: Tells how many rows a day has.
        level: What a fresh model loses, a row.
    """
    answered = stream.day.size - stream.rows(stream.start, math.inf).start
    return float(level * answered / (stream.end - stream.start))


def _kept(stream: TimedStream, cut: Cut) -> NDArray[np.float32]:
    """Answers, from the folder ``KAIROS_REGRET_KEEP`` if there is one and they were worked out before."""
    folder = os.environ.get("KAIROS_REGRET_KEEP")
    if folder is None:
        return _work_out(stream, cut)
    what = hashlib.sha256(np.ascontiguousarray(stream.inputs).tobytes() + stream.label.tobytes()).hexdigest()[:16]
    file = Path(folder) / f"{stream.name}-{what}-{cut.until:g}-{cut.days:g}.npy".replace(" ", "_")
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, _work_out(stream, cut))
    return np.asarray(np.load(file))


def _work_out(stream: TimedStream, cut: Cut) -> NDArray[np.float32]:
    """NaN before ``until``; single precision is enough, and there are many."""
    known, later = stream.learns(cut), stream.rows(cut.until, math.inf)
    out = np.full(stream.day.size, np.nan, dtype=np.float32)
    model = stream.learner()
    model.fit(stream.inputs[known], stream.label[known])
    raw = (
        model.predict_proba(stream.inputs[later])[:, 1]
        if hasattr(model, "predict_proba")
        else model.predict(stream.inputs[later])
    )
    out[later] = np.clip(raw, *stream.bounds)
    return out
