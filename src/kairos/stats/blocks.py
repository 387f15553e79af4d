"""Dependent values as blocks that are nearly independent, the length of a block learned from the days before.

Neighbouring losses resemble each other: hours, users and incidents come in stretches. A sequential test that takes each
value as fresh evidence is then wrong far more often than it says. Whole days are nearly independent, but there are few
of them. So the first days are one block each; from then on a day is cut into as many blocks as the days before it show
to be independent. The cut of a day depends on earlier days alone, and evidence counts at the ends of days: so bets on
blocks stay fair, and what swings within a day cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, Ints, finite

__all__ = ["Blocks", "independent_blocks"]

MIN_ROWS = 6
"""Of a block: single values may be wild, means of six are cut rarely."""
MAX_BLOCKS = 256
"""Of a day; more would hasten nothing, as the ends of days are waited for."""
WARM_UP_DAYS = 3
"""Days that are one block each, before anything is known of the dependence."""
MAX_DAY_EFFECT = 2.0
"""Variance of day means may be at most this many times what independent blocks would make it."""
MAX_CORRELATION = 0.25
"""Of neighbouring blocks, one standard error included."""
MIN_NIGHTS = 4
"""Before anything is said of how days depend."""
MAX_NIGHT_CORRELATION = 0.4
"""Between the last quarter of a day and the first of the next; above it, days too depend, and two make one block."""
MAX_WILD = 0.01
"""Share of blocks that are further from their mean than the scale, where bets are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Means of blocks, in order of time."""

    means: Floats
    """Shape (m,), less what is usual at that time of day; the average over a day is that day's mean."""
    rows: Ints
    """Values behind each mean, shape (m,)."""
    days: Ints
    """The day at whose end each block counts, shape (m,), not falling."""
    waiting: int
    """Values of a last day that waits for the next one."""
    per_day: int
    """Blocks that the last day was cut into; 0 if it waits."""


def independent_blocks(values: ArrayLike, days: ArrayLike, *, scale: float) -> Blocks:
    """Cuts days of values into blocks whose means may be taken one by one as fresh evidence about the mean.

    Args:
        values: In order of time, shape (n,), finite.
        days: The day of each value, whole numbers that do not fall, shape (n,).
        scale: Means further apart than this are wild, in the unit of the values, above 0.

    Returns:
        What the first days give is not changed by later ones.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> independent_blocks(rng.normal(size=14 * 240), np.repeat(np.arange(14), 240), scale=1.0).per_day
        32
        >>> walk = np.repeat(rng.normal(size=14 * 2), 120)  # each half of a day has a mean of its own
        >>> independent_blocks(walk, np.repeat(np.arange(14), 240), scale=3.0).per_day
        2

    References:
        Blocks against dependence: Carlstein (1986). That any cut chosen from the past keeps a bet fair: the stakes of
        ``kairos.monitor.bets`` do not look at the block that they are laid on. Thresholds: simulated, docs/design/0006.
    """
    x, day_of = finite("values", values), np.asarray(days)
    if x.shape != day_of.shape or (np.diff(day_of) < 0).any():
        raise UsageError("Values are not in order of days.", given=f"shapes {x.shape} and {day_of.shape}")
    if not scale > 0:
        raise UsageError("A scale is above 0.", given=scale)
    cutter = _Cutter(scale)
    for of_day in np.split(np.arange(x.size), np.flatnonzero(np.diff(day_of)) + 1) if x.size else ():
        cutter.add(x[of_day], int(day_of[of_day[0]]))
    return cutter.found()


class _Cutter:
    """The days so far, at every fineness that they can be cut to."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._past: dict[int, list[Floats]] = {}  # blocks a day -> their means, a row for each day with rows enough
        self._waiting: list[tuple[float, int]] = []  # mean and rows of a day that waits for the next one
        self._means: list[Floats] = []
        self._rows: list[Ints] = []
        self._ends: list[Ints] = []
        self._per_day = 0

    def add(self, x: Floats, day: int) -> None:
        """Cuts one more day by what is known of the days before it."""
        cuts = _cuts(x.size)
        pasts = {k: np.asarray(self._past[k]) for k in cuts if len(self._past.get(k, ())) >= WARM_UP_DAYS}
        k = max((k for k, past in pasts.items() if k > 1 and _is_independent(past, self._scale)), default=1)
        night = _night_correlation(pasts[max(k for k in pasts if k <= 4)]) if pasts else 0.0
        do_days_depend = k <= 2 and night > MAX_NIGHT_CORRELATION
        if k == 1 or do_days_depend:
            self._waiting.append((float(x.mean()), x.size))
            is_whole = len(self._waiting) > 1 or not do_days_depend
            self._per_day = 1 if is_whole else 0
            if is_whole:
                self._emit_waiting(day)
        else:
            self._emit_waiting(day)
            usual = pasts[k].mean(axis=0)
            self._emit(_block_means(x, k) - (usual - usual.mean()), np.diff(_edges(x.size, k)), day)
            self._per_day = k
        for each in cuts:
            self._past.setdefault(each, []).append(_block_means(x, each))

    def found(self) -> Blocks:
        return Blocks(
            means=np.concatenate([np.empty(0), *self._means]),
            rows=np.concatenate([np.empty(0, dtype=np.int64), *self._rows]),
            days=np.concatenate([np.empty(0, dtype=np.int64), *self._ends]),
            waiting=sum(rows for _, rows in self._waiting),
            per_day=self._per_day,
        )

    def _emit_waiting(self, day: int) -> None:
        if self._waiting:
            mean = sum(mean for mean, _ in self._waiting) / len(self._waiting)
            self._emit(np.array([mean]), np.array([sum(rows for _, rows in self._waiting)]), day)
            self._waiting = []

    def _emit(self, means: Floats, rows: Ints, day: int) -> None:
        self._means.append(means)
        self._rows.append(rows)
        self._ends.append(np.full(means.size, day, dtype=np.int64))


def _cuts(rows: int) -> list[int]:
    """Powers of two into which so many rows may be cut; 1 always."""
    most = max(1, min(rows // MIN_ROWS, MAX_BLOCKS))
    return [2**power for power in range(int(math.log2(most)) + 1)]


def _edges(rows: int, k: int) -> Ints:
    return np.asarray(np.arange(k + 1) * rows // k, dtype=np.int64)


def _block_means(x: Floats, k: int) -> Floats:
    """Sums of blocks over the average number of rows: their average is the day's mean to the last row."""
    return np.add.reduceat(x, _edges(x.size, k)[:-1]) / (x.size / k)


def _night_correlation(past: Floats) -> float:
    """Correlation of the last block of a day with the first of the next; 0 where nothing is known of it."""
    if past.shape[0] <= MIN_NIGHTS or past.shape[1] == 1:
        return 0.0
    last, first = past[:-1, -1], past[1:, 0]
    last, first = last - last.mean(), first - first.mean()
    size = math.sqrt(float((last**2).sum() * (first**2).sum()))
    return float((last * first).sum()) / size if size > 0 else 0.0


def _is_independent(past: Floats, scale: float) -> bool:
    """Whether past days (rows) cut into blocks (columns) behave as if the blocks were independent, and not wild."""
    days, k = past.shape
    day, usual = past.mean(axis=1, keepdims=True), past.mean(axis=0, keepdims=True)
    rest = past - day - usual + past.mean()
    within = float((rest**2).sum()) / ((days - 1) * (k - 1))
    if k * float(day.var(ddof=1)) > MAX_DAY_EFFECT * within:
        return False
    if k > 2 and within > 0:  # of two blocks a day, what is left is each other's mirror image
        line = rest.ravel()
        correlation = float((line[1:] * line[:-1]).sum() / (line**2).sum()) + 1 / k
        if correlation + 1 / math.sqrt(line.size) > MAX_CORRELATION:
            return False
    return float((np.abs(rest + day - day.mean()) > scale).mean()) <= MAX_WILD
