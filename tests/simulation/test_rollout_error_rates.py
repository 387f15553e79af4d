"""How often a rollout is decided wrongly, looked at after every tick, through the decision itself.

2,000 rollouts each; a rate may exceed its promise by three standard errors of the simulation. The full runs, beside the
rules that others use, are in ``benchmarks/decisions/rollout.py``.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.deciding import decide
from kairos.delivery.rollout.evidence import Guard, RolloutEvidence
from kairos.delivery.rollout.harm import alarms, log_mean
from kairos.delivery.rollout.proof import allowed_rate, safety
from kairos.monitor.rollout import count
from kairos.store.counts import Comparison, CountLog, Sheet
from kairos.testing.rollouts import (
    RAMP,
    SimulatedRollouts,
    Traffic,
    daily_swing,
    incidents,
    simulate,
    steady,
)
from kairos.values import canonical_json
from tests.delivery.trials import GOOD, START

RUNS = 2000
ALPHA = 0.05
POLICY = RolloutPolicy(min_dwell=timedelta(0), min_canary_requests=0, critical=())
HARM = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0])
SAFETY = 1 / np.array([1.25, 1.5, 2.0, 3.0, 5.0])
SCENARIOS = {"steady": steady, "daily swing": daily_swing, "incidents": incidents}
TICKS = sum(ticks for _, ticks in RAMP)


def at_most(rate: float, runs: int = RUNS) -> float:
    """The largest share of ``runs`` that does not contradict ``rate``."""
    return rate + 3 * math.sqrt(rate * (1 - rate) / runs)


def means(paths: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Log of the mean of e-values given by their logarithms."""
    return np.asarray(np.logaddexp.reduce(paths) - np.log(len(paths)))


def harm_margins(found: SimulatedRollouts) -> dict[str, NDArray[np.float64]]:
    """By guard: how far its log e-value is above its limit after each tick, shape (runs, ticks)."""
    limits = {alarm.name: alarm.log_limit for alarm in alarms(POLICY, found.evidence(0, 0))}
    return {name: means(found.ratio_path(name, 1.0, HARM)) - limits[name] for name in found.shared}


def ever_taken_back(found: SimulatedRollouts) -> NDArray[np.bool_]:
    """Whether ``decide`` takes each rollout back at the look at which most speaks for it; shape (runs,)."""
    margins = harm_margins(found)
    worst = np.max(list(margins.values()), axis=0)
    looks = worst.argmax(axis=1)
    back = np.zeros(len(worst), dtype=bool)
    for run in np.flatnonzero(worst.max(axis=1) > -0.5):
        back[run] = taken_back(found, int(run), int(looks[run]))
    assert (back == (worst.max(axis=1) >= 0)).all()
    return back


def taken_back(found: SimulatedRollouts, run: int, look: int) -> bool:
    return decide(POLICY, "canary", float(found.shares[look]), found.evidence(run, look)).action == "rollback"


def test_what_is_computed_for_all_rollouts_at_once_is_what_a_decision_goes_by() -> None:
    """At any look: the same e-values, for harm and for safety."""
    rng = np.random.default_rng(1)
    found = simulate(rng, traffic=Traffic(ratio=1.5), busy=incidents(rng, 20, TICKS))
    margins = harm_margins(found)
    for run, look in zip(rng.integers(0, 20, 30), rng.integers(0, TICKS, 30), strict=True):
        evidence, share = found.evidence(run, look), float(found.shares[look])
        for alarm in alarms(POLICY, evidence)[1:]:
            assert alarm.log_e - alarm.log_limit == pytest.approx(margins[alarm.name][run, look], abs=1e-8)
        for guard in evidence.guards:
            rate, ratio = allowed_rate(POLICY, share, evidence, guard), POLICY.demand(share).max_ratio
            if rate < 1:
                parts = [*found.ratio_path(guard.name, ratio, ratio * SAFETY), found.rate_path(guard.name, rate)]
                together = log_mean([float(path[run, look]) for path in parts])
                assert safety(POLICY, share, evidence, guard) == pytest.approx(together, abs=1e-6)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_harmless_version_is_rarely_taken_back(scenario: str) -> None:
    """S3: four steps of a ramp, five guards that depend on each other, 160 looks; all of them together 5 % at most."""
    rng = np.random.default_rng(sum(map(ord, scenario)))
    found = simulate(rng, traffic=Traffic(), busy=SCENARIOS[scenario](rng, RUNS, TICKS))
    assert ever_taken_back(found).mean() <= at_most(ALPHA)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_guard_alone_keeps_its_own_part_of_alpha(scenario: str) -> None:
    """The mean of pairs and shares, at 1 / alpha: not above 5 %, and not so far below that nothing would be seen."""
    rng = np.random.default_rng(7 + len(scenario))
    found = simulate(rng, traffic=Traffic(), busy=SCENARIOS[scenario](rng, RUNS, TICKS))
    for name in ("errors", "slow_p95"):
        crossed = means(found.ratio_path(name, 1.0, HARM)).max(axis=1) >= math.log(1 / ALPHA)
        assert 0.005 <= crossed.mean() <= at_most(ALPHA)


@pytest.mark.parametrize(("ratio", "steps", "at_least"), [(5.0, 1, 0.95), (2.0, 2, 0.9), (1.5, 3, 0.9)])
def test_a_harmful_version_does_not_come_far(ratio: float, steps: int, at_least: float) -> None:
    """Five times as many bad events are seen at 1 %, twice as many by 5 %, half as many again by 25 %."""
    rng = np.random.default_rng(int(10 * ratio))
    plan = RAMP[:steps]
    busy = daily_swing(rng, 200, sum(ticks for _, ticks in plan))
    found = simulate(rng, plan=plan, traffic=Traffic(ratio=ratio), busy=busy)
    assert ever_taken_back(found).mean() >= at_least


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_version_at_the_limit_of_a_step_rarely_leaves_it(step: int) -> None:
    """S5: bad events exactly as frequent as the step does not allow, any one guard left to see it, after every tick."""
    rng = np.random.default_rng(step)
    share, plan = RAMP[step - 1][0], RAMP[:step]
    ratio = POLICY.demand(share).max_ratio
    busy = steady(rng, RUNS, sum(ticks for _, ticks in plan))
    found = simulate(rng, plan=plan, traffic=Traffic(per_tick=10_000, slow_rate=0.05, ratio=ratio), busy=busy)
    here = found.shares == share
    for name in found.shared:
        guard = next(
            guard for guard in found.evidence(0, TICKS - 1 if step == 4 else 40 * step - 1).guards if guard.name == name
        )
        rate = allowed_rate(POLICY, share, found.evidence(0, len(here) - 1), guard)
        assert found.own[name].sum() / guard_predictions(found, name) >= 0.97 * rate, "the limit is reached"
        proof = means([*found.ratio_path(name, ratio, ratio * SAFETY), found.rate_path(name, rate)])[:, here]
        gone = sum(
            goes_on(found, int(run), int(np.flatnonzero(here)[proof[run].argmax()]), name)
            for run in np.flatnonzero(proof.max(axis=1) > math.log(1 / ALPHA) - 0.5)
        )
        assert gone / RUNS <= at_most(ALPHA), name


@pytest.mark.parametrize(
    ("share", "ratio", "events"),
    [
        (0.01, 10.0, 28), (0.01, 5.0, 92), (0.01, 3.0, 237), (0.05, 5.0, 21),
        (0.05, 2.0, 190), (0.25, 2.0, 55), (0.25, 1.5, 174), (0.5, 1.5, 174),
    ],
)  # fmt: skip
def test_harm_is_seen_after_as_many_bad_events_as_was_planned(share: float, ratio: float, events: int) -> None:
    """S4: the median over 2,000 rollouts, looked at after every bad event, is within 20 % of the published table."""
    rng = np.random.default_rng(int(1000 * share + ratio))
    most = 4 * events
    mine = np.cumsum(rng.uniform(size=(RUNS, most)) < share * ratio / (share * ratio + 1 - share), axis=1)
    theirs = np.arange(1, most + 1) - mine
    likely = share * HARM / (share * HARM + 1 - share)
    paths = [mine * np.log(p / share) + theirs * np.log((1 - p) / (1 - share)) for p in likely]
    path = np.logaddexp.reduce(paths) - np.log(len(HARM))
    first = np.where((path >= math.log(20)).any(axis=1), (path >= math.log(20)).argmax(axis=1), most - 1)
    assert np.median(first + 1) == pytest.approx(events, rel=0.2)
    policy = replace(POLICY, alpha=0.1, critical=())  # two guards, the loss being one: each acts at 20
    for run in np.flatnonzero(first < most - 1)[:6]:
        for events_seen, is_back in ((int(first[run]), False), (int(first[run]) + 1, True)):
            at = max(events_seen - 1, 0)
            asked = {str(share): (int(mine[run, at]), int(theirs[run, at])) if events_seen else (0, 0)}
            guard = Guard(name="errors", by=("shares",), asked=asked)
            evidence = RolloutEvidence(as_of=START, since=START, loss=GOOD, guards=(guard,))
            assert (decide(policy, "canary", share, evidence).action == "rollback") == is_back


def test_the_order_of_events_and_who_counted_them_change_nothing(tmp_path: Path) -> None:
    """S6: shuffled, split over eight servers one of which is started anew, read in between: the same bytes."""
    rng = np.random.default_rng(6)
    names = ("requests", "predicted", "paired", "asked.test", "asked.base", "pairs.errors.test", "asked.errors.test",
             "asked.errors.base", "own.errors", "path", "path.slow_p95")  # fmt: skip
    events = [(float(rng.choice([0.05, 0.25])), names[int(rng.integers(len(names)))]) for _ in range(3000)]
    comparison = Comparison(model="demand", base=1, test=2, since=START)
    whole = count_events(tmp_path / "one", comparison, [events])
    order = rng.permutation(len(events))
    parts = [[events[i] for i in order[n::9]] for n in range(9)]
    split = count_events(tmp_path / "nine", comparison, parts)
    assert canonical_json(whole) == canonical_json(split)
    assert canonical_json(decide(POLICY, "canary", 0.25, whole)) == canonical_json(
        decide(POLICY, "canary", 0.25, split)
    )


def count_events(folder: Path, comparison: Comparison, parts: list[list[tuple[float, str]]]) -> RolloutEvidence:
    """What a reader finds when each part was counted by a process of its own; two of them had the same name."""
    log = CountLog(folder)
    for number, part in enumerate(parts):
        writer, totals = log.writer(f"w{number % 8}", now=START), dict[float, Counter[str]]()
        for done, (share, name) in enumerate(part):
            totals.setdefault(share, Counter())[name] += 1
            if done % 100 == 0 or done == len(part) - 1:
                sheets = [
                    Sheet(comparison=comparison, share=s, counts=c, limits={"slow_p95": 9}) for s, c in totals.items()
                ]
                writer.write(sheets, now=START, has_ended=done == len(part) - 1)
                log.processes()
        writer.close()
    blank = RolloutEvidence(as_of=START, since=START, loss=None)
    return count(blank, CountLog(folder).processes(), comparison, as_of=START, policy=POLICY)


def guard_predictions(found: SimulatedRollouts, name: str) -> int:
    """How many predictions the guard's bad events are among, over all rollouts."""
    return found.traffic.per_tick * found.asked[0].size if name in found.pairs else int(found.asked[0].sum())


def goes_on(found: SimulatedRollouts, run: int, look: int, name: str) -> bool:
    """Whether ``decide`` lets a rollout go on at a look, if that guard alone is watched."""
    evidence = found.evidence(run, look)
    alone = replace(evidence, guards=tuple(guard for guard in evidence.guards if guard.name == name))
    return decide(POLICY, "canary", float(found.shares[look]), alone).action == "advance"
