"""Very many trials decided by their losses: which are taken back, which are let through, though they should not be.

All trials are looked at together, at the end of every day, since between two days nothing is learnt from losses. Then
each trial that is anywhere near a decision is decided by ``kairos.delivery.rollout.deciding.decide`` itself, from a
``PairedLoss`` that ``kairos.monitor.rollout`` makes of its requests; an answer that differs is an error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.decisions.many_blocks import block_log_e, counted_days
from benchmarks.decisions.streams import DependentLosses, Floats
from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.deciding import decide
from kairos.delivery.rollout.evidence import PairedLoss, RolloutEvidence
from kairos.delivery.rollout.harm import alarms
from kairos.monitor.checks.quality import LossReference
from kairos.monitor.rollout.pairs import paired_loss
from kairos.testing.rollouts import SimulatedRollouts, Traffic, simulate, steady

__all__ = ["DAYS", "LOSSES", "POLICY", "Trials", "draw", "let_through", "never_covered", "taken_back"]

DAYS = 28
POLICY = RolloutPolicy(min_dwell=timedelta(0))
"""The default, but that nobody has to wait."""
ALPHA, MARGIN = POLICY.alpha, POLICY.harm_margin

LOSSES: dict[str, DependentLosses] = {
    "normal": DependentLosses(rows_per_day=24),
    "heavy tails (t, 3 degrees of freedom)": DependentLosses(rows_per_day=24, tail="t3"),
    "lognormal, against the challenger": DependentLosses(rows_per_day=24, tail="right"),
    "lognormal, in its favour": DependentLosses(rows_per_day=24, tail="left"),
    "whole numbers": DependentLosses(rows_per_day=24, tail="whole"),
    "nine in ten alike": DependentLosses(rows_per_day=24, tail="zeros"),
    "autocorrelation 0.3": DependentLosses(rows_per_day=24, alike=0.3),
    "autocorrelation 0.6": DependentLosses(rows_per_day=24, alike=0.6),
    "autocorrelation 0.9": DependentLosses(rows_per_day=24, alike=0.9),
    "lognormal, autocorrelation 0.6": DependentLosses(rows_per_day=24, tail="right", alike=0.6),
    "daily swing of 50 %": DependentLosses(rows_per_day=24, daily=0.5),
    "weekly swing of 20 %": DependentLosses(rows_per_day=24, weekly=0.2),
    "both swings, autocorrelation 0.6": DependentLosses(rows_per_day=24, daily=0.5, weekly=0.2, alike=0.6),
    "a shock each day, 30 %": DependentLosses(rows_per_day=24, day_shock=0.3),
    "240 a day, normal": DependentLosses(rows_per_day=240),
    "240 a day, lognormal, daily swing": DependentLosses(rows_per_day=240, tail="right", daily=0.5),
    "240 a day, autocorrelation 0.9": DependentLosses(rows_per_day=240, alike=0.9),
    "broken: shocks of days alike by 0.5": DependentLosses(rows_per_day=24, day_shock=0.3, days_alike=0.5),
}
"""Differences of losses; *broken*: dependence lasts for longer than a day, which nothing here is meant for."""

_HARM = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0])
_TICKS = 4
"""Looks a day at what is counted."""
_RAMP = tuple((share, 7 * _TICKS) for share in (0.01, 0.05, 0.25, 0.5))
_BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
_REFERENCE = LossReference(mean=1.0, upper=1.0, cap=50.0, rows=10_000)
_NEAR = 0.5
"""A log e-value this far below what decides is looked at in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Losses of both versions on the same requests, shape (trials, days, rows a day)."""

    champion: Floats
    """Of mean 1."""
    challenger: Floats

    def paired(self, trial: int, day: int) -> PairedLoss | None:
        """What is known of one trial when ``day`` has ended, as the monitor says."""
        mine, theirs = self.challenger[trial, : day + 1], self.champion[trial, : day + 1]
        rows = mine.shape[1]
        at = [_BEGAN + timedelta(days=d, seconds=86400 * i // rows) for d in range(day + 1) for i in range(rows)]
        requests = pl.DataFrame(
            {
                "at": at,
                "label": np.zeros(mine.size),
                "output_champion": theirs.ravel(),
                "output_challenger": mine.ravel(),
                "has_champion": True,
                "has_challenger": True,
            }
        )
        until = _BEGAN + timedelta(days=day + 1)
        return paired_loss(requests, loss=_own, reference=_REFERENCE, alpha=ALPHA, mature_until=until)


def draw(losses: DependentLosses, rng: np.random.Generator, trials: int, *, worse: float = 0.0) -> Trials:
    """Trials of a challenger whose loss is higher by ``worse`` on average."""
    difference = losses.draw(rng, trials, DAYS)
    champion = rng.gamma(4.0, 0.25, size=difference.shape)
    return Trials(champion=champion, challenger=champion + difference + worse)


def taken_back(trials: Trials, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether each trial is ever taken back, by its losses or by one of five guards, all of them harmless."""
    runs = len(trials.champion)
    counted = simulate(
        rng,
        plan=_RAMP,
        traffic=Traffic(per_tick=240, tick=timedelta(days=1) / _TICKS),
        busy=steady(rng, runs, DAYS * _TICKS),
    )
    by_day = block_log_e(trials.challenger - trials.champion, 0.0)
    known = np.concatenate([np.zeros((runs, 1)), by_day], axis=1)  # a day's losses count when it has ended
    by_loss = known[:, np.arange(1, DAYS * _TICKS + 1) // _TICKS]
    limits = {alarm.name: alarm.log_limit for alarm in alarms(POLICY, counted.evidence(0, 0))}
    margins = [by_loss - limits["loss"]]
    for name in counted.shared:
        paths = counted.ratio_path(name, 1.0, _HARM)
        margins.append(np.logaddexp.reduce(paths) - math.log(len(paths)) - limits[name])
    highest = np.max(margins, axis=0)

    def is_back(run: int, look: int) -> bool:
        return decide(POLICY, "canary", 0.5, _evidence(trials, counted, run, look)).action == "rollback"

    return _decided(highest, is_back)


def let_through(trials: Trials) -> NDArray[np.bool_]:
    """Whether each trial ever goes on from shadow, by its losses alone: no guard could keep it back."""
    rows = trials.champion.shape[2]
    difference = trials.challenger - trials.champion
    counted = counted_days(-difference)
    sums = np.cumsum(trials.champion.sum(axis=2), axis=1)
    means = np.take_along_axis(sums, np.maximum(counted - 1, 0), axis=1) / np.maximum(counted * rows, 1)
    proof = block_log_e(-difference, -MARGIN * means) - math.log(1 / ALPHA)
    proof[counted * rows < POLICY.min_pairs] = -math.inf
    harm = np.maximum.accumulate(block_log_e(difference, 0.0), axis=1)
    proof[harm >= math.log(1 / ALPHA)] = -math.inf  # taken back, as it should be: being worse by the margin is harm

    def goes_on(run: int, day: int) -> bool:
        now = _BEGAN + timedelta(days=day + 1)
        evidence = RolloutEvidence(as_of=now, since=_BEGAN, loss=trials.paired(run, day), requests=10_000, pairs=10_000)
        return decide(POLICY, "shadow", 0.0, evidence).action == "advance"

    return _decided(proof, goes_on)


def never_covered(trials: Trials, worse: float) -> tuple[float, float]:
    """The share of trials in which the lower, and the upper bound of the mean difference is ever on the wrong side."""
    difference = trials.challenger - trials.champion
    sides = (block_log_e(difference, worse), block_log_e(-difference, -worse))
    low, high = (float((side >= math.log(1 / ALPHA)).any(axis=1).mean()) for side in sides)
    return low, high


def _evidence(trials: Trials, counted: SimulatedRollouts, run: int, look: int) -> RolloutEvidence:
    day = (look + 1) // _TICKS - 1
    return counted.evidence(run, look, loss=None if day < 0 else trials.paired(run, day))


def _decided(margin: Floats, decision: Any) -> NDArray[np.bool_]:
    """What is decided at the look at which most speaks for it, where that is near; shape (trials,)."""
    looks, best = margin.argmax(axis=1), margin.max(axis=1)
    found = np.zeros(len(margin), dtype=bool)
    for run in np.flatnonzero(best > -_NEAR).tolist():
        found[run] = decision(run, int(looks[run]))
        if found[run] != (best[run] >= 0) and abs(best[run]) > 1e-6:
            raise AssertionError("what was computed for all trials is not what is decided")
    return found


def _own(truth: NDArray[Any], prediction: NDArray[Any]) -> Floats:
    """The outputs of these trials are losses already."""
    return np.asarray(prediction - truth, dtype=np.float64)
