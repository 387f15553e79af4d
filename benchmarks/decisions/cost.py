"""What one more observation costs: the new state and the decision, in microseconds of one core, and their memory.

Run: ``python -m benchmarks.decisions.cost``. Promised are less than 50 microseconds each, and states that do not grow.
Bounds that are only shown to people are a search; they are timed apart, once a look.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any

import numpy as np
import polars as pl

from benchmarks.decisions.report import Row, main
from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.deciding import decide
from kairos.gates.losses import loss_named
from kairos.monitor.checks.quality import loss_reference
from kairos.monitor.rollout.pairs import paired_loss
from kairos.stats.arms import ArmValues, arms_log_e
from kairos.stats.badevents import harm_log_e, ratio_interval, safety_log_e
from kairos.stats.betting import BettingState
from kairos.stats.bindetector import BinState, bin_limits
from kairos.stats.detector import DetectorState
from kairos.stats.quantiles import quantile_from_counts
from kairos.stats.rates import rate_interval, rate_log_e
from kairos.stats.sequence import MeanState
from kairos.stats.srm import srm_log_e
from kairos.testing.rollouts import Traffic, steady
from kairos.testing.rollouts import simulate as simulate_rollouts

ALARM = math.log(20)
ROLLOUT = simulate_rollouts(np.random.default_rng(0), traffic=Traffic(), busy=steady(np.random.default_rng(0), 1, 160))
"""One rollout with five guards, through the whole ramp."""


def stream(state: Any, decision: Callable[[Any], float]) -> Callable[[Sequence[float]], object]:
    """A job that updates a state by each value and asks for the decision; it returns the last state."""

    def job(values: Sequence[float]) -> object:
        now, alarms = state, 0
        for value in values:
            now = now.update(value)
            alarms += decision(now) >= ALARM
        return now

    return job


def bins(values: Sequence[float]) -> object:
    """Whether a distribution in twenty bins has changed, one row at a time."""
    state, rows, alarms = BinState.of(bin_limits([500] * 20)), np.eye(20), 0
    for value in values:
        state = state.update(rows[int(20 * value)])
        alarms += state.log_m >= ALARM
    return state


def losses(values: Sequence[float]) -> object:
    """Paired losses of a rollout of four weeks, read anew at each turn of the loop: no state but the log itself."""
    began, n = datetime(2012, 1, 1, tzinfo=UTC), len(values)
    ended, fine = began + timedelta(days=28), np.ones(n, dtype=bool)
    label, outputs = np.zeros(n), np.asarray(values)
    requests = pl.DataFrame(
        {
            "at": pl.datetime_range(began, ended, (ended - began) / (n + 1), time_zone="UTC", eager=True)[:n],
            "label": label,
            "output_champion": outputs,
            "output_challenger": outputs[::-1],
            "has_champion": fine,
            "has_challenger": fine,
        }
    )
    reference = loss_reference(outputs)
    assert reference is not None  # some of these losses are above 0
    paired_loss(requests, loss=loss_named("absolute_error"), reference=reference, alpha=0.05, mature_until=ended)
    return ()


def counts(decision: Callable[[int, int], float]) -> Callable[[Sequence[float]], object]:
    """A job whose state is counts: of the values below 1 %, and of all."""

    def job(values: Sequence[float]) -> object:
        events, alarms = 0, 0
        for n, value in enumerate(values, start=1):
            events += value < 0.01
            alarms += decision(events, n) >= ALARM
        return events, len(values)

    return job


def shares(events: int, n: int) -> dict[float, tuple[int, int]]:
    """Bad events at three shares, as a ramp gathers them."""
    return {0.01: (3, 100), 0.05: (20, 400), 0.25: (events % 50, n % 1000)}


JOBS: dict[str, Callable[[Sequence[float]], object]] = {
    "bets against a mean (BettingState)": stream(
        BettingState(null_mean=0.6, lower=0, upper=1), lambda state: state.log_e
    ),
    "is a running mean below a limit (MeanState)": stream(
        MeanState(lower=0, upper=1), lambda state: state.log_e_below(0.6, alpha=0.1)
    ),
    "paired losses of a rollout (all of them, a turn)": losses,
    "has a mean risen (DetectorState)": stream(DetectorState(tolerated=0.6), lambda state: state.log_sr),
    "has a distribution changed, 20 bins (BinState)": bins,
    "whose bad events, harm, three shares": counts(lambda k, n: harm_log_e(shares(k, n))),
    "whose bad events, safety, three shares": counts(lambda k, n: safety_log_e(shares(k, n), 1.5)),
    "a rate and its cap": counts(lambda k, n: rate_log_e(k, n, 0.01, "greater")),
    "a quantile and its limit": counts(lambda k, n: rate_log_e(k, n, 0.01, "less")),
    "the split of requests": counts(lambda k, n: srm_log_e([k, n - k], [0.01, 0.99])),
}


def brought(reach: float | None) -> Callable[[Sequence[float]], object]:
    """A job whose state is what both arms brought, at three shares."""
    past = {
        share: ArmValues(
            requests=(900, 900), events=(90, 90), totals=(45.0, 45.0), sizes=(45.0, 45.0), squares=(30.0, 30.0)
        )
        for share in (0.01, 0.05)
    }

    def job(values: Sequence[float]) -> object:
        total, squares, now, alarms = 90.0, 90.0, ArmValues(), 0
        for n, value in enumerate(values, start=1):
            total, squares = total + value, squares + value * value
            now = ArmValues(
                requests=(n, n), events=(n, n), totals=(total, 90.0), sizes=(total, 90.0), squares=(squares, 90.0)
            )
            alarms += arms_log_e({**past, 0.25: now}, null=0.0, side="less", reach=reach) >= ALARM
        return now

    return job


JOBS |= {
    "what requests are worth, with a range, three shares": brought(1.0),
    "what requests are worth, without one, three shares": brought(None),
}

LOOKS: dict[str, Callable[[], object]] = {
    "a whole decision of a rollout, five guards": lambda: decide(
        RolloutPolicy(), "canary", 0.5, ROLLOUT.evidence(0, 150)
    ),
    "bounds of a running mean": lambda: MeanState(lower=0, upper=1, n=900, total=400, squares=90).bounds(alpha=0.05),
    "bounds of the ratio of bad events": lambda: ratio_interval(shares(20, 900)),
    "bounds of a rate": lambda: rate_interval(5, 1000, alpha=0.05, t_opt=1000),
    "bounds of a quantile, from 700 cells": lambda: quantile_from_counts(
        np.arange(700), np.geomspace(1, 1e6, 701), 0.99, alpha=0.05, t_opt=10_000
    ),
}


def simulate(runs: int) -> Iterator[Row]:
    """The best of five turns, as others may be at work on the machine."""
    values = np.random.default_rng(0).uniform(size=runs).tolist()
    for case, job in JOBS.items():
        took = []
        for _ in range(5):
            started = process_time()
            end = job(values)
            took.append((process_time() - started) / runs)
        yield Row(table="one more observation", case=case, who="kairos", figure="us", value=f"{1e6 * min(took):.1f}")
        for figure, state in ((f"bytes after {runs // 10:,}", job(values[: runs // 10])), (f"after {runs:,}", end)):
            size = f"{len(pickle.dumps(state)):,}"
            yield Row(table="one more observation", case=case, who="kairos", figure=figure, value=size)
    for case, look in LOOKS.items():
        turns, took = max(1, runs // 100), []
        for _ in range(5):
            started = process_time()
            for _ in range(turns):
                look()
            took.append((process_time() - started) / turns)
        yield Row(table="once a look", case=case, who="kairos", figure="us", value=f"{1e6 * min(took):.0f}")


if __name__ == "__main__":
    raise SystemExit(main("What one more observation costs", lambda n: list(simulate(n)), runs=10_000))
