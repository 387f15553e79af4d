"""What the loop's policy spares in worlds whose change is known, beside what others do and the best in hindsight."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from benchmarks.decisions.regret import POLICIES, follow
from benchmarks.decisions.regret_rivals import Adwin, best_schedule, never, weekly
from benchmarks.decisions.streams_made import made_stream
from benchmarks.decisions.streams_timed import Change, TimedStream, change_cost, lived
from kairos.app.backtest.loop import trainings

SEED = 200


@cache
def _world(name: str) -> TimedStream:
    return made_stream(name, SEED)


@cache
def _schedule(name: str, policy: str) -> tuple[Change, ...]:
    everyone = {**POLICIES, "never": never, "best": best_schedule}
    return tuple(everyone[policy](_world(name)))


def _loss(name: str, policy: str) -> float:
    return float(lived(_world(name), _schedule(name, policy)).mean())


@pytest.mark.parametrize("world", ["slow", "sudden", "walking"])
def test_the_loop_spares_most_of_what_can_be_spared(world: str) -> None:
    """At least 0.9 of the best in hindsight, with at most a third of the changes of a weekly schedule."""
    still, best = _loss(world, "never"), _loss(world, "best")
    assert (still - _loss(world, "kairos")) / (still - best) >= 0.9
    assert len(_schedule(world, "kairos")) - 1 <= (len(_schedule(world, "every week, deploy")) - 1) / 3


@pytest.mark.parametrize("rival", [name for name in POLICIES if name != "kairos"])
@pytest.mark.parametrize("world", ["slow", "sudden", "several", "recurring", "walking"])
def test_no_rival_loses_less_where_the_world_moves(world: str, rival: str) -> None:
    """They learn from all of the history, and do not know when to."""
    assert _loss(world, "kairos") < _loss(world, rival)


def test_a_world_that_stands_still_is_left_alone() -> None:
    """A few renewals by age; none is worse, and the loss is as that of the first model."""
    world = _world("still")
    found = follow(world, _schedule("still", "kairos"))
    assert found.changes <= 5
    assert found.worse == 0
    assert found.losses.mean() <= 1.005 * _loss("still", "never")


def test_a_sudden_change_is_answered_by_a_short_training_window() -> None:
    """Once readings have shown that what was before it misleads."""
    world = _world("sudden")
    assert {one.window.name for one in trainings(world)} & {"11.38d", "22.75d", "45.5d"}


def test_the_best_schedule_is_beaten_by_nobody() -> None:
    """Counting the price of each change: it knows the future."""
    for name in ("slow", "several"):
        world = _world(name)
        price = change_cost(world, float(lived(world, weekly(world)).mean()))

        def cost(policy: str, name: str = name, price: float = price) -> float:
            schedule = _schedule(name, policy)
            return float(lived(_world(name), schedule).sum()) + price * (len(schedule) - 1)

        assert all(cost("best") <= cost(policy) for policy in ("never", "every week, deploy", "every week, point gate"))


def test_nobody_answers_with_what_is_not_known_yet() -> None:
    """A model learns from rows whose truth has come when it is trained, and answers later ones."""
    world = made_stream("several", SEED, delay=7.0)
    for policy in (*POLICIES.values(), best_schedule):
        for change in policy(world):
            assert change.cut.until <= change.at - world.delay_days
            learnt = world.day[world.learns(change.cut)]
            assert learnt.max() < change.cut.until
            assert learnt.min() >= change.cut.until - change.cut.days


def test_a_worse_version_is_counted() -> None:
    """A model from before the change, put in the place of one from after it, is worse, and no chance."""
    world = _world("sudden")
    at = world.end - 60
    new, old = weekly(world)[-10].cut, world.first.cut
    found = follow(world, [world.first, Change(at=at, cut=new), Change(at=at + 20, cut=old)])
    assert (found.changes, found.worse, found.proven) == (2, 1, 1)
    assert math.isfinite(found.losses.sum())


def test_adwin_sees_a_risen_mean_and_keeps_quiet_without_one() -> None:
    """At delta 0.002: no cut in 2,000 values of one mean, one soon after it has doubled."""
    rng = np.random.default_rng(0)
    window = Adwin(delta=0.002)
    assert not any(window.add(float(value < 0.2)) for value in rng.uniform(size=2000))
    cuts = [window.add(float(value < 0.4)) for value in rng.uniform(size=400)]
    assert any(cuts[:200])
