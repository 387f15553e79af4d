"""How late the labels of a model were, counted from the prediction log."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from kairos.monitor.days import day_number, day_start
from kairos.monitor.maturity import Maturity, learnt_maturity
from kairos.monitor.policy import MonitorPolicy
from kairos.stats.arrival import ArrivalCounts, count_arrivals
from kairos.store.predictions import PredictionLog
from kairos.values import Window

__all__ = ["count_delays", "learn_maturity"]

_SHORTEST = timedelta(days=28)
_LONGEST = timedelta(days=730)
"""How far back delays are looked at, at least and at most; longer ones than the latter are taken for never."""

_MEMORY = 4
"""How many times the age of maturity is looked back: what was usual long ago need not be so now."""


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
