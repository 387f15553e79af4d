"""Schedules that decide nothing: never, every week; and the best one in hindsight."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from kairos.app.backtest.past import Change, Cut, Past, change_cost, lived
from kairos.delivery.retrain.windows import windows_to_try

__all__ = ["WEEK", "best_schedule", "never", "newest", "weekly", "weeks_of"]

WEEK = 7.0


def never(past: Past) -> list[Change]:
    """One model, for ever."""
    return [past.first]


def weekly(past: Past) -> list[Change]:
    """A new model each week, deployed whatever it is worth."""
    return [Change(at=at, cut=newest(past, at)) for at in weeks_of(past)]


def best_schedule(past: Past) -> list[Change]:
    """The weeks and training windows that would have lost least, each change at the price of a day's losses.

    Nobody can follow it: it knows the future. By dynamic programming over all weeks.
    """
    weeks = weeks_of(past)
    price = change_cost(past, float(lived(past, weekly(past)).mean()))
    edges = [*weeks, math.inf]
    parts = [past.rows(start, end) for start, end in pairwise(edges)]
    cuts = [
        [_cut(past, at, window.days) for window in windows_to_try(past.history_days, weighted=False)] for at in weeks
    ]
    best: list[float] = [0.0, *[math.inf] * len(weeks)]
    came: list[Change | None] = [None] * (len(weeks) + 1)
    before = [0] * (len(weeks) + 1)
    for begin, choices in enumerate(cuts):
        for cut in choices if begin else [past.first.cut]:
            losses, spent = past.losses(cut), best[begin] + (price if begin else 0.0)
            for end in range(begin + 1, len(weeks) + 1):
                spent += float(losses[parts[end - 1]].sum())
                if spent < best[end]:
                    best[end], came[end], before[end] = spent, Change(at=weeks[begin], cut=cut), begin
    schedule, end = [], len(weeks)
    while end:
        change = came[end]
        assert change is not None  # each week ends some schedule
        schedule.append(change)
        end = before[end]
    return schedule[::-1]


def weeks_of(past: Past) -> list[float]:
    """The days on which its weeks begin."""
    return [float(at) for at in np.arange(past.start, past.end, WEEK)]


def newest(past: Past, at: float) -> Cut:
    """All of the history that is known on a day."""
    return _cut(past, at, None)


def _cut(past: Past, at: float, days: float | None) -> Cut:
    return Cut(until=at - past.delay_days, days=past.history_days if days is None else days)
