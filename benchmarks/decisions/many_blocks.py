"""The blocks and bets of very many trials at once: the same numbers as one by one, some hundred times as quick.

``kairos.stats.blocks`` cuts the days of one trial, and ``kairos.monitor.bets`` bets on the blocks; both are written for
one trial. Here days are cut for all trials in step, day after day. ``tests/simulation/test_many_blocks.py`` holds the
two together, for all kinds of losses.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions.streams import Floats
from kairos.stats import blocks as one

__all__ = ["CHUNK", "block_log_e", "counted_days", "day_log_e", "value_log_e"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_STAKES = (0.1, 0.3, 0.6, 0.95)
_LOG_MONEY = np.log([1 / 6, 1 / 6, 1 / 6, 1 / 2])
"""Those of ``kairos.monitor.bets``."""

CHUNK = 500
"""Trials at a time, for the memory's sake."""


def block_log_e(x: Floats, null_mean: float | Floats, *, scale: float = 1.0) -> Floats:
    """Log e-values against "the mean is at most the null" at the end of each day, from blocks as short as is allowed.

    Args:
        x: Values, shape (trials, days, rows a day).
        null_mean: Above ``-scale``; one, or one for each trial and day, shape (trials, days).
        scale: As in ``kairos.monitor.bets``.

    Returns:
        Shape (trials, days).
    """
    nulls = np.broadcast_to(np.asarray(null_mean, dtype=np.float64), x.shape[:2])
    parts = zip(_chunks(x), _chunks(nulls), strict=True)
    return np.concatenate([_bets(_blocks(part, scale), null, scale) for part, null in parts])


def counted_days(x: Floats, *, scale: float = 1.0) -> Ints:
    """How many days count at the end of each day, shape (trials, days): one that waits for the next does not yet."""
    ends = np.concatenate([np.isfinite(_blocks(part, scale)).any(axis=2) for part in _chunks(x)])
    return np.maximum.accumulate(np.where(ends, np.arange(1, x.shape[1] + 1), 0), axis=1)


def day_log_e(x: Floats, null_mean: float, *, scale: float = 1.0) -> Floats:
    """The same from whole days."""
    return _bets(x.mean(axis=2, keepdims=True), np.full(x.shape[:2], null_mean), scale)


def value_log_e(x: Floats, null_mean: float, *, scale: float = 1.0) -> Floats:
    """The same from single values, as if each were fresh evidence."""
    return np.concatenate([_bets(part, np.full(part.shape[:2], null_mean), scale) for part in _chunks(x)])


def _chunks(x: Floats) -> list[Floats]:
    return [x[start : start + CHUNK] for start in range(0, len(x), CHUNK)]


def _blocks(x: Floats, scale: float) -> Floats:
    """Means of blocks, shape (trials, days, slots); NaN where a slot is not used.

    The first slot of a day is for days that waited, or for the whole day; the others are for its blocks.
    """
    runs, days, rows = x.shape
    cuts = one._cuts(rows)
    past = {k: _block_means(x, k) for k in cuts}
    mean = past[1][..., 0]
    found = np.full((runs, days, 1 + max(cuts)), np.nan)
    waiting, waits = np.zeros(runs), np.zeros(runs, dtype=np.int64)  # sum of the means of days that wait, and how many
    for day in range(days):
        fineness = _fineness(past, day, cuts, scale)
        depends = (fineness <= 2) & (_night_correlation(past, day, cuts) > one.MAX_NIGHT_CORRELATION)
        whole = (fineness == 1) | depends
        waiting, waits = waiting + np.where(whole, mean[:, day], 0.0), waits + whole
        ready = np.where(whole, (waits > 1) | ~depends, waits > 0)
        found[ready, day, 0] = waiting[ready] / waits[ready]
        waiting, waits = np.where(ready, 0.0, waiting), np.where(ready, 0, waits)
        for k in cuts[1:]:
            here = ~whole & (fineness == k)
            if here.any():
                usual = past[k][here, :day].mean(axis=1)
                found[here, day, 1 : k + 1] = past[k][here, day] - (usual - usual.mean(axis=1, keepdims=True))
    return found


def _block_means(x: Floats, k: int) -> Floats:
    """Shape (trials, days, k)."""
    rows = x.shape[2]
    return np.asarray(np.add.reduceat(x, one._edges(rows, k)[:-1], axis=2) / (rows / k))


def _fineness(past: dict[int, Floats], day: int, cuts: list[int], scale: float) -> Ints:
    """The number of blocks that a day is cut into, by the days before it; shape (trials,)."""
    finest = np.ones(len(past[1]), dtype=np.int64)
    if day >= one.WARM_UP_DAYS:
        for k in cuts[1:]:
            finest = np.where(_are_independent(past[k][:, :day], scale), k, finest)
    return finest


def _are_independent(past: Floats, scale: float) -> Bools:
    """As ``_is_independent``, for each trial; ``past`` has shape (trials, days, k)."""
    _, days, k = past.shape
    day, usual = past.mean(axis=2, keepdims=True), past.mean(axis=1, keepdims=True)
    middle = past.mean(axis=(1, 2), keepdims=True)
    rest = past - day - usual + middle
    within = (rest**2).sum(axis=(1, 2)) / ((days - 1) * (k - 1))
    fine = np.asarray(k * day[..., 0].var(axis=1, ddof=1) <= one.MAX_DAY_EFFECT * within)
    if k > 2:
        line = rest.reshape(len(past), -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = (line[:, 1:] * line[:, :-1]).sum(axis=1) / (line**2).sum(axis=1) + 1 / k
        alike = correlation + 1 / math.sqrt(line.shape[1]) > one.MAX_CORRELATION
        fine &= ~(alike & (within > 0))
    wild = np.abs(rest + day - day.mean(axis=1, keepdims=True)) > scale
    return np.asarray(fine & (wild.mean(axis=(1, 2)) <= one.MAX_WILD))


def _night_correlation(past: dict[int, Floats], day: int, cuts: list[int]) -> Floats:
    """As ``_night_correlation``, for each trial."""
    k = max(k for k in cuts if k <= 4)
    if day < one.WARM_UP_DAYS or day <= one.MIN_NIGHTS or k == 1:
        return np.zeros(len(past[1]))
    last, first = past[k][:, : day - 1, -1], past[k][:, 1:day, 0]
    last, first = last - last.mean(axis=1, keepdims=True), first - first.mean(axis=1, keepdims=True)
    size = np.sqrt((last**2).sum(axis=1) * (first**2).sum(axis=1))
    return np.where(size > 0, (last * first).sum(axis=1) / np.where(size > 0, size, 1.0), 0.0)


def _bets(values: Floats, nulls: Floats, scale: float) -> Floats:
    """Log e-values after each day, from values of shape (trials, days, slots), NaN where there is none."""
    cut = np.maximum(values, -scale)
    lost = np.nan_to_num(cut - values).sum(axis=2).cumsum(axis=1)
    count = np.isfinite(values).sum(axis=2).cumsum(axis=1)
    given_back = np.where(count > 0, lost / np.maximum(count, 1), 0.0)
    first = nulls[:, 0]
    log_e = _steady(cut, first, scale)
    for day in range(values.shape[1]):  # where the null has moved, as what was cut is given back, all days count anew
        null = nulls[:, day] + given_back[:, day]
        moved = np.flatnonzero(null != first)
        if moved.size:
            log_e[moved, day] = _steady(cut[moved, : day + 1], null[moved], scale)[:, -1]
    return log_e


def _steady(cut: Floats, null_mean: Floats, scale: float) -> Floats:
    """The same against a null for each trial, shape (trials,)."""
    m = null_mean[:, np.newaxis, np.newaxis]
    gains = np.nan_to_num((cut - m) / (m + scale), copy=False)
    logs = []
    for stake, money in zip(_STAKES, _LOG_MONEY, strict=True):
        factors = 1 + stake * gains
        steps = [  # at most 64 factors at a time: each is 0.05 or more, so none is lost
            np.log(np.prod(factors[..., start : start + 64], axis=2)) for start in range(0, gains.shape[2], 64)
        ]
        logs.append(money + np.cumsum(np.sum(steps, axis=0), axis=1))
    return np.asarray(np.logaddexp.reduce(logs))
