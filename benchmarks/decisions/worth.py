"""What requests are worth while a ramp goes up and the times change: how often, and how soon, a difference is claimed.

Requests bring something more often, and more of it, by the end of a ramp than at its beginning, and by day than by
night. Who compares the mean of all that the challenger brought with that of the champion takes that for the
challenger's merit, because most of its requests are late ones.

Run: ``python -m benchmarks.decisions.worth``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions.report import Row, main, share
from benchmarks.decisions.streams import Floats
from kairos.stats.arms import ArmValuesPath, arms_log_e_path
from kairos.testing.rollouts import RAMP

__all__ = ["ALPHA", "SIDES", "WORLDS", "World", "draw", "first", "naive_claims", "simulate", "truth"]

Side = Literal["less", "greater"]

ALPHA = 0.05
SIDES: tuple[Side, Side] = ("less", "greater")
SHARES = np.repeat([part for part, _ in RAMP], [ticks for _, ticks in RAMP])
TICKS = SHARES.size
PER_TICK = 600
_AT_ONCE = 1000
_T = np.arange(TICKS) / TICKS
_RATE = 0.04 * (1 + _T) * (1 + 0.5 * np.sin(2 * np.pi * np.arange(TICKS) / 48))
"""Part of the requests that bring something, by tick."""
_LEVEL = 1 + 0.8 * _T
"""How much more they bring than at first, by tick."""


@dataclass(frozen=True, slots=True)
class World:
    """How much requests bring that bring something."""

    draw: Callable[[np.random.Generator, int], Floats]
    """At the level of the first tick."""
    mean: float
    reach: float | None
    """Length of the range that the owner states, twice of what there is at the end of the ramp; ``None``: none."""


WORLDS = {
    "all alike, within a range": World(lambda rng, n: np.ones(n), 1.0, 3.6),
    "exponential, cut at five means": World(
        lambda rng, n: np.minimum(rng.exponential(size=n), 5.0), 1 - math.exp(-5), 18.0
    ),
    "two kinds, one a hundred times the other, within a range": World(
        lambda rng, n: np.where(rng.uniform(size=n) < 0.05, 100.0, 1.0), 5.95, 360.0
    ),
    "exponential": World(lambda rng, n: rng.exponential(size=n), 1.0, None),
    "lognormal, sigma 1": World(lambda rng, n: rng.lognormal(0.0, 1.0, n), math.exp(0.5), None),
    "lognormal, sigma 1.5": World(lambda rng, n: rng.lognormal(0.0, 1.5, n), math.exp(1.125), None),
    "Pareto, 2.5": World(lambda rng, n: rng.pareto(2.5, n) + 1, 5 / 3, None),
}


def draw(world: World, rng: np.random.Generator, runs: int, *, times: float = 1.0) -> ArmValuesPath:
    """What each tick of a ramp brings; what the challenger brings is ``times`` as much. Shape (runs, ticks) each."""
    found: list[list[Floats]] = [[] for _ in range(8)]
    for tick in range(TICKS):
        asked = rng.binomial(PER_TICK, SHARES[tick], size=runs)
        for arm, requests in enumerate((asked, PER_TICK - asked)):
            events = rng.binomial(requests, _RATE[tick])
            whose = np.repeat(np.arange(runs), events)
            y = world.draw(rng, whose.size) * _LEVEL[tick] * (times if arm == 0 else 1.0)
            sums = (np.bincount(whose, weights, runs) for weights in (y, y * y))
            for place, each in zip((arm, 2 + arm, 4 + arm, 6 + arm), (requests, events, *sums), strict=True):
                found[place].append(np.asarray(each, dtype=np.float64))
    parts = [np.stack(each, axis=1) for each in found]
    return ArmValuesPath(
        requests=(parts[0], parts[1]),
        events=(parts[2], parts[3]),
        totals=(parts[4], parts[5]),
        sizes=(parts[4], parts[5]),
        squares=(parts[6], parts[7]),
    )


def truth(world: World, *, times: float) -> Floats:
    """The weighted difference that the challenger makes up to each tick, a request; shape (ticks,)."""
    weights = SHARES * (1 - SHARES)
    effect = _RATE * _LEVEL * world.mean * (times - 1)
    return np.asarray(np.cumsum(weights * effect) / np.cumsum(weights))


def naive_claims(values: ArmValuesPath) -> NDArray[np.bool_]:
    """Whether a z test of all sums, without regard to the steps, ever claims that the challenger brings more."""
    (n1, n0), (t1, t0), (q1, q0) = (
        tuple(np.cumsum(arm, axis=1) for arm in pair) for pair in (values.requests, values.totals, values.squares)
    )
    mean1, mean0 = t1 / np.maximum(n1, 1), t0 / np.maximum(n0, 1)
    error = np.sqrt((q1 / np.maximum(n1, 1) - mean1**2) / np.maximum(n1, 1) + (q0 / n0 - mean0**2) / n0)
    enough = (np.cumsum(values.events[0], axis=1) >= 50) & (error > 0)
    return np.asarray((enough & (mean1 - mean0 > 1.645 * error)).any(axis=1))


def first(
    world: World, values: ArmValuesPath, *, side: Side, null: Floats | float = 0.0, alpha: float = ALPHA
) -> NDArray[np.int64]:
    """The tick at which it is claimed that the difference is on that side of the null; the number of ticks if never."""
    path = arms_log_e_path(SHARES, values, null=null, side=side, reach=world.reach)
    hits = path >= math.log(1 / alpha)
    return np.where(hits.any(axis=1), hits.argmax(axis=1), TICKS)


def simulate(runs: int) -> Iterator[Row]:
    """Wrong claims about equal versions and about bounds, and how soon right ones come."""
    for number, (case, world) in enumerate(WORLDS.items()):
        rng = np.random.default_rng(number)
        found: dict[str, list[NDArray[np.bool_]]] = {}
        for begun in range(0, runs, _AT_ONCE):
            size = min(_AT_ONCE, runs - begun)
            equal, doubled = draw(world, rng, size), draw(world, rng, size, times=2.0)
            for side in SIDES:
                found.setdefault(f"equal: {side}", []).append(first(world, equal, side=side) < TICKS)
                there = truth(world, times=2.0)
                missed = first(world, doubled, side=side, null=there) < TICKS
                found.setdefault(f"doubled: {side}", []).append(missed)
            found.setdefault("equal: greater, by a z test of sums", []).append(naive_claims(equal))
        for figure, hits in found.items():
            value = share(float(np.concatenate(hits).mean()), runs)
            yield Row(table=f"wrong, {ALPHA:.0%} are stated for each", case=case, who="", figure=figure, value=value)
        for times in (0.5, 0.8):
            looks = first(world, draw(world, rng, min(runs, _AT_ONCE), times=times), side="less")
            value = (
                f"{(looks < TICKS).mean():.0%} ({np.median(looks[looks < TICKS]):.0f})"
                if (looks < TICKS).any()
                else "0%"
            )
            figure = f"{times:g} times as much"
            yield Row(table=f"harm seen within {TICKS} ticks (median)", case=case, who="", figure=figure, value=value)


if __name__ == "__main__":
    raise SystemExit(main("What requests are worth", lambda n: list(simulate(n)), runs=10_000))
