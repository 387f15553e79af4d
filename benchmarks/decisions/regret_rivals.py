"""What others do about the age of a model, all learning from all of the history; and the best schedule in hindsight."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from benchmarks.decisions.streams_timed import Change, Cut, TimedStream
from kairos.app.backtest.hindsight import WEEK, best_schedule, never, newest, weekly, weeks_of

__all__ = ["Adwin", "adwin", "best_schedule", "drift_alarm", "never", "point_gate", "weekly"]

HOLDOUT_DAYS = 14.0


def drift_alarm(stream: TimedStream, *, alpha: float = 0.05) -> list[Change]:
    """A new model, deployed whatever it is worth, after each week with an input that is not as it was in training.

    By a Kolmogorov-Smirnov test for each input, at ``alpha`` over their number (Bonferroni).
    """
    schedule = [stream.first]
    for at in weeks_of(stream)[1:]:
        known, last = stream.inputs[stream.learns(schedule[-1].cut)], stream.inputs[stream.rows(at - WEEK, at)]
        if len(last) and any(
            stats.ks_2samp(one[np.isfinite(one)], other[np.isfinite(other)]).pvalue < alpha / known.shape[1]
            for one, other in zip(known.T, last.T, strict=True)
            if np.isfinite(one).any() and np.isfinite(other).any()
        ):
            schedule.append(Change(at=at, cut=newest(stream, at)))
    return schedule


def point_gate(stream: TimedStream) -> list[Change]:
    """A new model each week, deployed if its mean loss on the last 14 days, which it has not seen, is the smaller."""
    schedule = [stream.first]
    for at in weeks_of(stream)[1:]:
        known = at - stream.delay_days
        new = Cut(until=known - HOLDOUT_DAYS, days=stream.history_days)
        rows = stream.rows(max(known - HOLDOUT_DAYS, schedule[-1].cut.until), known)
        own, champions = stream.losses(new)[rows], stream.losses(schedule[-1].cut)[rows]
        if own.size and own.mean() < champions.mean():
            schedule.append(Change(at=at, cut=new))
    return schedule


def adwin(stream: TimedStream, *, delta: float = 0.002) -> list[Change]:
    """A new model, deployed whatever it is worth, at each change that ADWIN sees in the mean loss.

    Losses are taken by the day on which they are known, as shares of the 99 % quantile of the first 28 days.
    """
    schedule, window = [stream.first], Adwin(delta=delta)
    scale = float(np.quantile(stream.losses(stream.first.cut)[stream.rows(stream.start, stream.start + 28)], 0.99))
    for at in np.arange(stream.start + stream.delay_days + 1, stream.end):
        if at - stream.delay_days - 1 < schedule[-1].at:
            continue
        rows = stream.rows(at - stream.delay_days - 1, at - stream.delay_days)
        shares = np.minimum(stream.losses(schedule[-1].cut)[rows] / scale, 1.0)
        if any(window.add(float(share)) for share in shares):
            schedule.append(Change(at=float(at), cut=newest(stream, float(at))))
            window = Adwin(delta=delta)
    return schedule


@dataclass(slots=True)
class Adwin:
    """A window that drops its older part when the mean of the newer one differs.

    References:
        Bifet & Gavaldà (SDM 2007), ADWIN2: buckets of 1, 2, 4 … values, at most five of a size.
    """

    delta: float
    _buckets: list[list[tuple[float, float]]] = field(default_factory=lambda: [[]])
    """By size, the newest first: sum and sum of squared deviations."""

    def add(self, value: float) -> bool:
        """Takes one value in [0, 1]; gives whether the window has shrunk."""
        self._buckets[0].insert(0, (value, 0.0))
        for level, row in enumerate(self._buckets):
            if len(row) <= 5:
                break
            if level + 1 == len(self._buckets):
                self._buckets.append([])
            (newer, a), (older, b) = row[-2:]
            del row[-2:]
            size = 2.0**level
            self._buckets[level + 1].insert(0, (newer + older, a + b + (newer - older) ** 2 / (2 * size)))
        return self._shrink()

    def _shrink(self) -> bool:
        has_shrunk = False
        while self._is_cut():
            self._buckets[-1].pop()
            while len(self._buckets) > 1 and not self._buckets[-1]:
                self._buckets.pop()
            has_shrunk = True
        return has_shrunk

    def _is_cut(self) -> bool:
        """Whether some older part of the window has another mean than the rest."""
        parts = [(2.0**level, *one) for level, row in enumerate(self._buckets) for one in row]
        sizes, sums, spreads = np.array(parts).T
        n, total = sizes.sum(), sums.sum()
        newer, mean = np.cumsum(sizes)[:-1], total / n
        if not newer.size or n < 10:
            return False
        variance = (spreads.sum() + (sizes * (sums / sizes - mean) ** 2).sum()) / n
        sums_newer, older = np.cumsum(sums)[:-1], n - newer
        harmonic, sure = 1 / (1 / newer + 1 / older), math.log(2 * math.log(n) / self.delta)
        limit = np.sqrt(2 / harmonic * variance * sure) + 2 / (3 * harmonic) * sure
        return bool(
            (np.abs(sums_newer / newer - (total - sums_newer) / older) > limit)[(newer >= 5) & (older >= 5)].any()
        )
