"""False promotions and false aborts when losses depend on each other, and how long right decisions take.

Run: ``python -m benchmarks.decisions.dependence``. Four weeks of paired losses, looked at whenever there is something
new. *Aborted* is at equal models; *promoted* is at a challenger that is worse by exactly the margin, 10 % of the
champion's loss; both should be 5 % at most. Then, for equal models and for a challenger that is worse by a fifth, how
many are decided within two weeks, and the median day. Contenders: the default (``kairos.stats.blocks``), whole days,
single values as if they were independent (no protection), and a t-test after every value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats as distributions

from benchmarks.decisions.many_blocks import block_log_e, day_log_e, value_log_e
from benchmarks.decisions.report import Row, main, share
from benchmarks.decisions.streams import DependentLosses, Floats

__all__ = ["CASES", "CONTENDERS", "simulate"]

ALPHA, DAYS, MARGIN, SOON = 0.05, 28, 0.10, 14
NEVER = 10**6

CASES = {
    "24 a day": DependentLosses(rows_per_day=24),
    "24 a day, alike by 0.3": DependentLosses(rows_per_day=24, alike=0.3),
    "24 a day, alike by 0.6": DependentLosses(rows_per_day=24, alike=0.6),
    "24 a day, alike by 0.9": DependentLosses(rows_per_day=24, alike=0.9),
    "24 a day, heavy tails (t3)": DependentLosses(rows_per_day=24, tail="t3"),
    "24 a day, skewed against it": DependentLosses(rows_per_day=24, tail="right"),
    "24 a day, skewed in its favour": DependentLosses(rows_per_day=24, tail="left"),
    "24 a day, skewed, alike by 0.6": DependentLosses(rows_per_day=24, tail="right", alike=0.6),
    "24 a day, daily swing 0.5, alike by 0.9": DependentLosses(rows_per_day=24, daily=0.5, alike=0.9),
    "24 a day, weekly swing 0.2": DependentLosses(rows_per_day=24, weekly=0.2),
    "24 a day, a shock each day 0.3": DependentLosses(rows_per_day=24, day_shock=0.3),
    "24 a day, shocks of days alike by 0.5": DependentLosses(rows_per_day=24, day_shock=0.3, days_alike=0.5),
    "240 a day": DependentLosses(rows_per_day=240),
    "240 a day, alike by 0.6": DependentLosses(rows_per_day=240, alike=0.6),
    "240 a day, alike by 0.9": DependentLosses(rows_per_day=240, alike=0.9),
    "240 a day, skewed, daily swing 0.5": DependentLosses(rows_per_day=240, tail="right", daily=0.5),
    "240 a day, a shock each day 0.3": DependentLosses(rows_per_day=240, day_shock=0.3),
}

Rule = Callable[[Floats, float], Floats]
"""From differences, shape (trials, days, rows), and a mean under the null: the day of proof that the mean is above it,
shape (trials,); ``NEVER`` where there is none."""


def by_blocks(x: Floats, null_mean: float) -> Floats:
    """The default: blocks as short as the days before allow; a decision at the end of a day."""
    return _first_proof(block_log_e(x, null_mean))


def by_days(x: Floats, null_mean: float) -> Floats:
    """The same bets on whole days."""
    return _first_proof(day_log_e(x, null_mean))


def by_values(x: Floats, null_mean: float) -> Floats:
    """The same bets on single values, looked at every day: what comes of taking each as fresh evidence."""
    return _first_proof(value_log_e(x, null_mean))


def by_t_test(x: Floats, null_mean: float) -> Floats:
    """A one-sided t-test after every value from the twentieth on."""
    values = x.reshape(len(x), -1) - null_mean
    n = np.arange(1, values.shape[1] + 1)
    mean = values.cumsum(axis=1) / n
    spread = np.sqrt(np.maximum((values**2).cumsum(axis=1) - n * mean**2, 1e-12) / np.maximum(n - 1, 1) / n)
    hits = mean[:, 20:] / spread[:, 20:] > distributions.t.ppf(1 - ALPHA, n[20:] - 1)
    return np.where(hits.any(axis=1), (hits.argmax(axis=1) + 20) // x.shape[2] + 1.0, NEVER)


CONTENDERS: dict[str, Rule] = {"kairos": by_blocks, "days": by_days, "values": by_values, "t-test": by_t_test}


def simulate(runs: int) -> Iterator[Row]:
    """A table of error rates, and one of right decisions."""
    for number, (case, losses) in enumerate(CASES.items()):
        few = runs if losses.rows_per_day < 100 else max(runs // 4, 40)
        x = losses.draw(np.random.default_rng(number), few, DAYS)
        for who, rule in CONTENDERS.items():
            aborted = np.mean(rule(x, 0.0) <= DAYS)
            promoted = np.mean(rule(-x - MARGIN, -MARGIN) <= DAYS)
            yield Row(table="wrong decisions", case=case, who=who, figure="aborted", value=share(float(aborted), few))
            yield Row(table="wrong decisions", case=case, who=who, figure="promoted", value=share(float(promoted), few))
            if who in ("kairos", "days"):
                equal, worse = rule(-x, -MARGIN), rule(x + 0.2, 0.0)
                for figure, days in (("equal, promoted", equal), ("worse by 20 %, aborted", worse)):
                    yield Row(table="right decisions", case=case, who=who, figure=figure, value=_soon(days, few))


def _soon(days: Floats, runs: int) -> str:
    middle = np.median(days)
    return (
        f"{share(float(np.mean(days <= SOON)), runs)} (day {middle:.0f})"
        if middle < NEVER
        else (f"{share(float(np.mean(days <= SOON)), runs)}")
    )


def _first_proof(log_e: Floats) -> Floats:
    """The day at whose end, the first time, the mean is proven to be above the null."""
    proven = log_e >= math.log(1 / ALPHA)
    return np.where(proven.any(axis=1), proven.argmax(axis=1) + 1.0, NEVER)


if __name__ == "__main__":
    raise SystemExit(main("Decisions on losses that depend on each other", lambda n: list(simulate(n)), runs=2000))
