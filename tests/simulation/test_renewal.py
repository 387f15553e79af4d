"""Rent or buy, simulated: when the rule renews a model that ages, and what that costs in the end."""

from __future__ import annotations

import math
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from kairos.delivery.retrain.age import Slope, best_period_days
from kairos.delivery.retrain.decide import decide_retrain
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.retrain.readings import Reading
from kairos.gates.policy import Margin
from kairos.values import Window

DAY = timedelta(days=1)
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
FRESH = 10.0
PATHS, DAYS = 100, 90


def _reading(day: int, age: int, excess: float) -> Reading:
    at = BEGAN + day * DAY
    lost = {"all": (1000 * FRESH,)}
    champion = (1000 * (FRESH + excess),)
    return Reading(
        window=Window(at, at + DAY), rows=(1000,), champion=champion, tried=lost, chosen="all", age_days=float(age)
    )


def _changes(excess: NDArray[np.float64], cost: float, slope: Slope | None = None) -> list[int]:
    """Days on which the rule changes, by a reading a day.

    Args:
        excess: Of a model from day s (row) on day t (column), a row, shape (days, days).
        cost: Of a change, as loss a row times days.
        slope: What is known about ageing; with ``None`` nothing but the readings speaks.
    """
    policy = RetrainPolicy(
        cost=Margin(kind="absolute", value=cost),
        max_age=None if slope else timedelta(days=10_000),
        max_period=timedelta(days=10_000),
        cooldown=timedelta(0),
        budget=10_000,
    )

    def asks(began: int, day: int) -> bool:
        """Whether the model of day ``began`` is to be changed on a day; true on all later ones as well."""
        read = tuple(_reading(at, at - began, float(excess[began, at])) for at in range(began, day))
        facts = RetrainFacts(
            now=BEGAN + day * DAY,
            champion_trained_at=BEGAN + began * DAY,
            usual_loss=FRESH,
            readings=() if slope else read,
            slope=slope,
            alarms=(),
        )
        return decide_retrain(policy, facts).action == "retrain"

    found: list[int] = []
    while True:
        began = found[-1] if found else 0
        later = range(began + 1, len(excess))
        first = bisect_left(later, True, key=partial(asks, began))
        if first == len(later):
            return found
        found.append(later[first])


def _cost(excess: NDArray[np.float64], changes: list[int], cost: float) -> float:
    edges = [0, *changes, len(excess)]
    lost = sum(float(excess[start, start:end].sum()) for start, end in pairwise(edges))
    return lost + cost * len(changes)


def _least_cost(excess: NDArray[np.float64], cost: float) -> float:
    """Of all schedules, by dynamic programming over days: ``F(t) = min over s of F(s) + c + lost(s, t)``."""
    days = len(excess)
    lost = np.concatenate([np.zeros((days, 1)), np.triu(excess).cumsum(axis=1)], axis=1)  # of days before a column
    best = np.full(days + 1, math.inf)
    best[0] = -cost  # the first model is there already
    for end in range(1, days + 1):
        best[end] = np.min(best[:end] + cost + lost[np.arange(end), end])
    return float(best[-1])


def _worlds() -> list[tuple[NDArray[np.float64], float]]:
    """Random paths along which a model's excess never falls with its age: gentle, sudden and still stretches."""
    worlds = []
    for seed in range(PATHS):
        rng = np.random.default_rng(seed)
        moves = rng.random(DAYS) < rng.choice([0.02, 0.1, 0.5, 1.0])
        path = np.cumsum(moves * rng.gamma(rng.choice([0.5, 2.0]), 0.05, size=DAYS))
        excess = np.maximum(path[None, :] - path[:, None], 0.0)
        worlds.append((excess, float(rng.uniform(2.0, 30.0))))
    return worlds


@pytest.mark.parametrize("growth", [0.002, 0.02])
@pytest.mark.parametrize("knows_slope", [False, True])
def test_under_linear_decay_the_period_is_the_best_fixed_one(growth: float, *, knows_slope: bool) -> None:
    """Within 5 % of sqrt(2 c / a), whether by what waiting has cost or by the slope of ageing."""
    best = 60
    cost = growth * best**2 / 2
    assert best_period_days(cost=cost, slope=growth) == pytest.approx(best)
    age = np.maximum(np.arange(400)[None, :] - np.arange(400)[:, None], 0.0)
    slope = Slope(estimate=growth, lower=growth / 2, upper=growth * 2) if knows_slope else None
    periods = np.diff([0, *_changes(growth * age, cost, slope)])
    assert len(periods) >= 6
    assert periods.mean() == pytest.approx(best, rel=0.05)


def test_nobody_who_knows_the_future_pays_less_than_half() -> None:
    """On each of 100 random paths, counting the price of each change."""
    ratios = []
    for excess, cost in _worlds():
        least = _least_cost(excess, cost)
        spent = _cost(excess, _changes(excess, cost), cost)
        assert spent >= least - 1e-9
        ratios.append(spent / least if least > 0 else 1.0)
    assert sum(ratio > 1 for ratio in ratios) > PATHS / 2  # the others are as cheap as can be
    assert max(ratios) <= 2
