"""What the days of one live version add up to: counts and sums, kept once a day is over, so that a look reads little.

A day's predictions are read again until an hour after its end, then kept. Its truth counts from ``matures_after`` its
end, follows late labels for four weeks more, and is then kept: labels that are later still are left out, also
where they correct an earlier one. So what is kept never changes, and a restart adds up the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.models.profile import Profile
from kairos.monitor.cells import input_cells, no_counts, output_cells, prediction_cells
from kairos.monitor.days import Days, day_number, day_start, join_days
from kairos.monitor.forms import ONE_NUMBER, AnswerForm
from kairos.monitor.judgeable import LossOf
from kairos.monitor.labelled import labelled_rows
from kairos.monitor.policy import Unlabelled
from kairos.monitor.watched import watched_inputs
from kairos.store.predictions import PredictionLog
from kairos.values import Window

__all__ = [
    "DayCounts",
    "DayTruth",
    "Tallies",
    "Truth",
    "UnusableLabels",
    "by_day",
]

_SETTLES_AFTER = timedelta(hours=1)
"""Rows of a day, or labels, may reach the log this long after their own time."""

_LATE = timedelta(days=28)
"""How long after a day has matured its labels are still taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCounts:
    """What a version predicted on one UTC day."""

    rows: int
    answers: int
    """Of them, with a prediction that could leave."""
    violations: int
    """Of them, outside the output's range or not finite."""
    inputs: dict[str, NDArray[np.int64]]
    """Rows per cell of each input's bins, folded; inputs that the capture policy does not keep are not there."""
    prediction: NDArray[np.int64]
    """Rows per cell of the prediction's bins, folded; rows without a finite prediction are left out."""
    others: dict[str, NDArray[np.int64]]
    """The same of outputs that the prediction, their lead, does not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTruth:
    """What labels say about one UTC day."""

    rows: int
    """With a prediction that could leave, and a label in time."""
    loss: float
    """Sum of the losses."""
    error: float
    """Sum of prediction minus label."""
    level: float
    """Sum of the labels' sizes."""
    others: dict[str, tuple[float, float]] = field(default_factory=dict)
    """``error`` and ``level`` of each target beside the lead, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableLabels:
    """Labels that the loss does not take, and which are therefore left out."""

    labels: int
    prediction_id: str
    """One of those."""
    value: float
    """What was said about it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """What labels say about the mature days; an entry is a day, or thin days together."""

    losses: Days
    errors: Days
    """Means of prediction minus label."""
    unlabelled: NDArray[np.float64]
    """Share of the rows of each entry that have no label, shape (n,), in [0, 1)."""
    level: float
    """Mean size of the labels; NaN without any."""
    others: Mapping[str, tuple[Days, float]] = field(default_factory=dict)
    """``errors`` and ``level`` of each target beside the lead, by name."""


class Tallies:
    """The days of one version since it went live, up to the last ``read``.

    Args:
        log: Of predictions and labels.
        model: The model's name.
        version: Its number.
        profile: Whose bins to count in.
        loss_of: How wrong a prediction is.
        live_since: Earlier rows are left out.
        matures_after: How long after the end of a day its truth begins to count.
        unlabelled: What a row counts as that is mature and has no label.
        form: What the version answers with.
    """

    def __init__(
        self,
        log: PredictionLog,
        model: str,
        version: int,
        *,
        profile: Profile,
        loss_of: LossOf,
        live_since: datetime,
        matures_after: timedelta,
        unlabelled: Unlabelled = "exclude",
        form: AnswerForm = ONE_NUMBER,
    ) -> None:
        self._form = form
        self._log, self._model, self._version = log, model, version
        self._profile, self._loss_of = profile, loss_of
        self._since, self._matures_after, self._unlabelled = live_since, matures_after, unlabelled
        self._counts: dict[int, DayCounts] = {}
        self._truths: dict[int, DayTruth] = {}
        self._unusable: dict[int, UnusableLabels] = {}
        self._first_open_count = self._first_open_truth = day_number(live_since)

    def read(self, now: datetime) -> None:
        """Adds what has happened up to ``now``; only days that may still change are read."""
        rows = self._log.predictions(self._model, self._window(self._first_open_count, now), versions=[self._version])
        for day, part in by_day(rows):
            self._counts[day] = self._count(part)
        self._first_open_count = max(self._first_open_count, day_number(now - _SETTLES_AFTER))

        mature = day_number(now - self._matures_after)
        if mature > self._first_open_truth:
            window = self._window(self._first_open_truth, day_start(mature))
            for day, part in by_day(self._labelled(window, now)):
                self._add_truth(day, part)
            settled = day_number(now - self._matures_after - _LATE - _SETTLES_AFTER)
            self._first_open_truth = max(self._first_open_truth, settled)

    def unusable_labels(self) -> UnusableLabels | None:
        """Labels of the mature days that the loss does not take; ``None`` without any."""
        if not self._unusable:
            return None
        return replace(self._unusable[min(self._unusable)], labels=sum(day.labels for day in self._unusable.values()))

    def totals(self) -> tuple[int, int]:
        """Predictions that broke the output's range, and all predictions."""
        days = self._counts.values()
        return sum(day.violations for day in days), sum(day.rows for day in days)

    def input_counts(self, name: str, *, until: int, days: int) -> NDArray[np.int64]:
        """Counts of an input per day, shape (days, cells), over at most ``days`` days before ``until``."""
        none = no_counts(watched_inputs(self._profile)[name].profile)
        found = [self._counts.get(day) for day in self._live_days(until, days)]
        counts = [none if day is None else day.inputs.get(name, none) for day in found]
        return np.array(counts, dtype=np.int64).reshape(len(counts), none.size)

    def prediction_counts(self, *, until: int, days: int) -> NDArray[np.int64]:
        """Counts of the predictions per day, shape (days, cells), over at most ``days`` days before ``until``."""
        none = no_counts(self._profile.prediction)
        found = [self._counts.get(day) for day in self._live_days(until, days)]
        counts = [none if day is None else day.prediction for day in found]
        return np.array(counts, dtype=np.int64).reshape(len(counts), none.size)

    def output_counts(self, name: str, *, until: int, days: int) -> NDArray[np.int64]:
        """The same of an output that the prediction does not show."""
        none = no_counts(self._profile.outputs[name])
        found = [self._counts.get(day) for day in self._live_days(until, days)]
        counts = [none if day is None else day.others.get(name, none) for day in found]
        return np.array(counts, dtype=np.int64).reshape(len(counts), none.size)

    def truth(self, *, min_rows: int) -> Truth:
        """What labels say about the mature days; those with fewer labelled rows join the next."""
        days = sorted(self._truths)
        found = [self._truths[day] for day in days]
        rows = [day.rows for day in found]
        losses = join_days(days, rows, [day.loss for day in found], min_rows=min_rows)
        errors = join_days(days, rows, [day.error for day in found], min_rows=min_rows)
        level = sum(day.level for day in found) / sum(rows) if found else float("nan")
        others = {
            name: (
                join_days(days, rows, [day.others[name][0] for day in found], min_rows=min_rows),
                sum(day.others[name][1] for day in found) / sum(rows),
            )
            for name in (found[0].others if found else ())
        }
        none = [self._without_label(day, count) for day, count in zip(days, rows, strict=True)]
        ratio = join_days(days, rows, [float(each) for each in none], min_rows=min_rows).means
        return Truth(losses=losses, errors=errors, unlabelled=ratio / (1 + ratio), level=level, others=others)

    def _without_label(self, day: int, labelled: int) -> int:
        """Predictions of a day that could leave and have no label; where requests are what counts, none."""
        if self._form.ranks:
            return 0
        counts = self._counts.get(day)
        return 0 if counts is None else max(0, counts.answers - labelled)

    def _live_days(self, until: int, days: int) -> range:
        return range(max(until - days, day_number(self._since)), until)

    def _window(self, first_day: int, end: datetime) -> Window:
        start = max(self._since, day_start(first_day))
        return Window(start, max(start, end))

    def _labelled(self, window: Window, now: datetime) -> pl.DataFrame:
        """Rows with a prediction that could leave, and the latest label that came in time, or what counts as one."""
        within = self._matures_after + _LATE
        rows = labelled_rows(
            self._log, self._model, window, as_of=now, within=within, form=self._form, unlabelled=self._unlabelled
        )
        rows = self._form.labelled(rows.filter(pl.col("version") == self._version))
        return rows.filter(
            pl.col("label").is_finite(),
            pl.col("output").is_finite(),
        )

    def _count(self, rows: pl.DataFrame) -> DayCounts:
        return DayCounts(
            rows=len(rows),
            answers=int(rows.get_column("output").is_finite().sum()),
            violations=len(rows) - rows.get_column("violation").null_count(),
            inputs=input_cells(rows, self._profile),
            prediction=prediction_cells(rows, self._profile),
            others=output_cells(rows, self._profile),
        )

    def _add_truth(self, day: int, rows: pl.DataFrame) -> None:
        """Judges a day by the rows that the loss takes, and remembers which labels it does not."""
        bad = rows.filter(~self._form.proper(self._loss_of, rows))
        usable = rows.filter(self._form.judgeable(self._loss_of, rows))
        self._unusable.pop(day, None)
        self._truths.pop(day, None)
        if len(bad):
            self._unusable[day] = UnusableLabels(labels=len(bad), prediction_id=bad["id"][0], value=bad["label"][0])
        if len(usable):
            self._truths[day] = self._judge(usable)

    def _judge(self, rows: pl.DataFrame) -> DayTruth:
        label, output = rows.get_column("label").to_numpy(), rows.get_column("output").to_numpy()
        return DayTruth(
            rows=len(rows),
            loss=float(self._loss_of(self._form.truth(rows), self._form.answers(rows)).sum()),
            error=float((output - label).sum()),
            level=float(np.abs(label).sum()),
            others={
                name: (float((said - true).sum()), float(np.abs(true).sum()))
                for name, true, said in self._form.targets_beside_lead(rows)
            },
        )


def by_day(rows: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows of each UTC day, by its number; ``rows`` are sorted by time."""
    numbers = rows.get_column("at").dt.epoch("d").to_numpy()
    days, starts, lengths = np.unique(numbers, return_index=True, return_counts=True)
    for day, start, length in zip(days.tolist(), starts.tolist(), lengths.tolist(), strict=True):
        yield day, rows.slice(start, length)
