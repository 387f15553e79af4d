"""How late the labels of a model were, counted from the prediction log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.monitor.days import day_number, day_start
from kairos.monitor.maturity import Maturity, learnt_maturity
from kairos.monitor.policy import MonitorPolicy
from kairos.stats.arrival import (
    ArrivalCounts,
    ArrivalCurve,
    arrival_chances,
    arrival_curve_of_labelled,
    count_arrivals,
)
from kairos.store.predictions import PredictionLog
from kairos.values import Window

__all__ = ["GroupArrivals", "count_delays", "group_arrivals", "learn_maturity"]

_SHORTEST = timedelta(days=28)
_LONGEST = timedelta(days=730)
"""How far back delays are looked at, at least and at most; longer ones than the latter are taken for never."""

_MEMORY = 4
"""How many times the age of maturity is looked back: what was usual long ago need not be so now."""


_GROUPS = 3
_LEAST_SHARE = 0.05
"""Rows are too young while less than this share of the labels of some group would be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupArrivals:
    """How labels arrive, by what they say: those of one class, or the high ones, may be slower."""

    edges: tuple[float, ...]
    """Labels up to the first edge are the first group, and so on; empty: there is one group."""
    curves: tuple[ArrivalCurve, ...]
    """Of the labels of each group that ever come."""

    @property
    def youngest_s(self) -> float:
        """From this age on, since the end of a row's day, each group has labels enough to stand for the rest."""
        return max(curve.quantile(_LEAST_SHARE) or 0.0 for curve in self.curves)

    def chances(self, labels: NDArray[np.float64], ages_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of labels like each one that has arrived by its age; 1 where there is no label."""
        group = np.searchsorted(np.asarray(self.edges), labels, side="left")  # NaN: the last
        found = np.ones_like(labels)
        for number, curve in enumerate(self.curves):
            mine = (group == number) & ~np.isnan(labels)
            found[mine] = np.maximum(arrival_chances(curve, ages_s[mine]), _LEAST_SHARE)
        return found


def group_arrivals(rows: pl.DataFrame, *, as_of: datetime) -> GroupArrivals | None:
    """How labels of each class arrived, or of low, middling and high ones; of all together if a group has too few.

    Args:
        rows: As ``PredictionLog.arrivals`` gives them.
        as_of: The present.

    Returns:
        ``None`` if too few labels have come.
    """
    labels = rows.get_column("label").drop_nulls().to_numpy()
    labels = labels[np.isfinite(labels)]
    if np.isin(labels, (0.0, 1.0)).all():
        edges: tuple[float, ...] = (0.5,)
    else:
        edges = tuple(np.unique(np.quantile(labels, np.arange(1, _GROUPS) / _GROUPS)).tolist())
    for cuts in (edges, ()):
        group = np.searchsorted(np.asarray(cuts), rows.get_column("label").fill_null(np.nan).to_numpy(), side="left")
        known = rows.get_column("label").is_not_null().to_numpy()
        parts = [rows.filter(known & (group == number)) for number in range(len(cuts) + 1)]
        curves = tuple(arrival_curve_of_labelled(count_delays(part, as_of=as_of)) for part in parts)
        if all(curve.shares for curve in curves):
            return GroupArrivals(edges=cuts, curves=curves)
    return None


def count_delays(rows: pl.DataFrame, *, as_of: datetime) -> ArrivalCounts:
    """Counts requests by how late their first label was, both since the end of the request's UTC day.

    Args:
        rows: As ``PredictionLog.arrivals`` gives them. Days that have not ended are left out.
        as_of: The present.
    """
    day_end = pl.col("at").dt.truncate("1d") + timedelta(days=1)
    seconds = rows.select(
        delay=(pl.col("label_at") - day_end).dt.total_microseconds() / 1e6,
        age=(pl.lit(as_of) - day_end).dt.total_microseconds() / 1e6,
    )
    return count_arrivals(seconds["delay"].fill_null(np.nan).to_numpy(), seconds["age"].to_numpy())


def learn_maturity(log: PredictionLog, model: str, policy: MonitorPolicy, *, now: datetime) -> Maturity:
    """What the log says about how late labels are, for one model, as of the start of today.

    It looks back for four weeks, or four times as long as a day takes to mature, and further until that is known.

    Args:
        log: Of predictions and labels.
        model: Whose.
        policy: ``matures_after``, if it is set, stays; else ``matures_fallback`` holds while too little is known.
        now: Labels that arrived later are not looked at.
    """
    today = day_start(day_number(now))
    look_back = max(_SHORTEST, _MEMORY * (policy.matures_after or policy.matures_fallback))
    while True:
        look_back = min(look_back, _LONGEST)
        start = today - look_back
        rows = log.arrivals(model, Window(start, today), as_of=today)
        found = learnt_maturity(count_delays(rows, as_of=today), fallback=policy.matures_fallback)
        is_enough = found.basis == "learnt" and look_back >= _MEMORY * found.matures_after
        has_more = not rows.is_empty() and rows["at"][0] < start + look_back / 2 and look_back < _LONGEST
        if is_enough or not has_more:
            break
        look_back *= 2
    if policy.matures_after is not None:
        return replace(found, matures_after=policy.matures_after, basis="set")
    return found
