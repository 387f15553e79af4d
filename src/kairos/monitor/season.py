"""What the same weeks looked like a year ago: a change that comes every year is told as such."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.models.profile import ColumnProfile, Profile
from kairos.monitor.cells import input_cells, output_cells, prediction_cells
from kairos.monitor.checks.drift import ColumnDrift, day_effect
from kairos.monitor.days import day_start
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.tallies import by_day
from kairos.monitor.watched import watched_inputs
from kairos.stats.psi import psi, psi_test
from kairos.store.predictions import PredictionLog
from kairos.values import Window

__all__ = ["LastYear", "is_seasonal"]

_YEAR = timedelta(days=364)
"""52 weeks, so that weekdays meet weekdays."""

_ROWS_PER_CELL = 10
_Counts = dict[str, NDArray[np.int64]]
_Days = dict[int, tuple[_Counts, NDArray[np.int64], _Counts]]


class LastYear:
    """Counts what users asked for and got 52 weeks earlier, in the bins of today's profile; a day is read once.

    Args:
        log: Of predictions.
        model: The model's name; whichever version answered then.
        profile: Whose bins to count in.
    """

    def __init__(self, log: PredictionLog, model: str, profile: Profile) -> None:
        self._log, self._model, self._profile = log, model, profile
        self._days: _Days = {}
        self._none = {name: _empty(each.profile) for name, each in watched_inputs(profile).items()}

    def input_counts(self, name: str, *, until: int, days: int) -> NDArray[np.int64]:
        """Counts of an input by day, shape (days, cells), 52 weeks before the days that end with ``until``."""
        self._read(until, days)
        return np.array([self._days[day][0].get(name, self._none[name]) for day in self._range(until, days)])

    def prediction_counts(self, *, until: int, days: int) -> NDArray[np.int64]:
        """The same of the answers."""
        self._read(until, days)
        return np.array([self._days[day][1] for day in self._range(until, days)])

    def output_counts(self, name: str, *, until: int, days: int) -> NDArray[np.int64]:
        """The same of an output beside the lead."""
        self._read(until, days)
        none = _empty(self._profile.outputs[name])
        return np.array([self._days[day][2].get(name, none) for day in self._range(until, days)])

    def _range(self, until: int, days: int) -> range:
        last = until - _YEAR.days
        return range(last - days, last)

    def _read(self, until: int, days: int) -> None:
        wanted = self._range(until, days)
        missing = [day for day in wanted if day not in self._days]
        if not missing:
            return
        window = Window(day_start(missing[0]), day_start(missing[-1] + 1))
        rows = self._log.predictions(self._model, window).filter(pl.col("answered"))
        for day in missing:
            self._days[day] = ({}, _empty(self._profile.prediction), {})
        for day, part in by_day(rows):
            cells = input_cells(part, self._profile), prediction_cells(part, self._profile)
            self._days[day] = (*cells, output_cells(part, self._profile))
        for day in [day for day in self._days if day < wanted[0]]:
            del self._days[day]


def is_seasonal(now: NDArray[np.int64], then: NDArray[np.int64], drift: ColumnDrift, policy: MonitorPolicy) -> bool:
    """Whether a column that moved since training is much like it was a year ago: then the season explains it.

    Args:
        now: Counts of the drifted window by day, in folded cells, shape (days, cells).
        then: Counts of the same days a year ago, shape (days, cells).
        drift: What was found about the column.
        policy: ``drift_info``, ``alpha``.

    Returns:
        ``True`` only if there were enough rows then, the index between the two years is at most half of that against
        training, and nothing proves it to be above ``drift_info``.
    """
    if then.sum() == 0 or now.sum() == 0:
        return False
    before, after = then.sum(axis=0) / day_effect(then), now.sum(axis=0) / day_effect(now)
    cells = int(((before > 0) | (after > 0)).sum())
    if min(before.sum(), after.sum()) < _ROWS_PER_CELL * cells:
        return False
    distance = float(psi(before, after))
    return distance <= drift.psi / 2 and not psi_test(before, after, eps=policy.drift_info, alpha=policy.alpha).alarm


def _empty(column: ColumnProfile) -> NDArray[np.int64]:
    return np.zeros_like(column.bins.fold(np.asarray(column.counts)))
