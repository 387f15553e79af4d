"""What one more observation costs: the new state, and the decision, in microseconds of one core.

Run: ``python -m benchmarks.decisions.cost``. Promised are less than 50 each, and states that do not grow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from time import process_time

import numpy as np

from benchmarks.decisions.report import Row, main
from kairos.stats.badevents import harm_log_e
from kairos.stats.betting import BettingState
from kairos.stats.detector import DetectorState
from kairos.stats.rates import rate_log_e
from kairos.stats.sequence import MeanState

ALARM = math.log(20)


def bets(values: list[float]) -> int:
    """Evidence that a mean was above its null at some time."""
    state, alarms = BettingState(null_mean=0.6, lower=0, upper=1), 0
    for value in values:
        state = state.update(value)
        alarms += state.log_e >= ALARM
    return alarms


def mean(values: list[float]) -> int:
    """Whether the upper bound of the average so far is below a limit."""
    state, alarms = MeanState(lower=0, upper=1), 0
    for value in values:
        state = state.update(value)
        alarms += state.log_e_below(0.6, alpha=0.1) >= ALARM
    return alarms


def detector(values: list[float]) -> int:
    """Whether a mean has risen."""
    state, alarms = DetectorState(tolerated=0.6), 0
    for value in values:
        state = state.update(value)
        alarms += state.log_sr >= ALARM
    return alarms


def bad_events(values: list[float]) -> int:
    """Whose bad events they are, at three shares."""
    return sum(harm_log_e({0.01: (3, 100), 0.05: (n % 50, 400), 0.25: (5, 60)}) >= ALARM for n in range(len(values)))


def rate(values: list[float]) -> int:
    """Whether a rate is above its cap."""
    return sum(rate_log_e(n // 100, n + 1, 0.01, "greater") >= ALARM for n in range(len(values)))


JOBS: dict[str, Callable[[list[float]], int]] = {
    "bets (BettingState)": bets,
    "bounds of a mean (MeanState)": mean,
    "detectors (DetectorState)": detector,
    "bad events (three shares)": bad_events,
    "a rate and its cap": rate,
}


def simulate(runs: int) -> Iterator[Row]:
    """The best of five turns, as others may be at work on the machine."""
    values = np.random.default_rng(0).uniform(size=runs).tolist()
    for case, job in JOBS.items():
        took = []
        for _ in range(5):
            started = process_time()
            job(values)
            took.append((process_time() - started) / runs)
        yield Row(table="one more observation", case=case, who="kairos", figure="us", value=f"{1e6 * min(took):.1f}")


if __name__ == "__main__":
    raise SystemExit(main("What one more observation costs", lambda n: list(simulate(n)), runs=10_000))
