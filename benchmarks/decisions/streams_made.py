"""Made-up worlds whose truth moves in known ways: a line over six inputs whose weights move, with noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from benchmarks.decisions.streams import Floats
from benchmarks.decisions.streams_timed import TimedStream

__all__ = ["WORLDS", "made_stream"]

DAYS = 729
HISTORY = 182
INPUTS = 6
Draw = Callable[[np.random.Generator, Floats], Floats]
"""From a generator and the rows' days to the weights of each row, shape (n, inputs)."""


def _still(rng: np.random.Generator, day: Floats) -> Floats:
    return np.tile(_weights(rng), (day.size, 1))


def _slow(rng: np.random.Generator, day: Floats) -> Floats:
    share = (day / DAYS)[:, np.newaxis]
    return _weights(rng) * (1 - share) + _weights(rng) * share


def _sudden(rng: np.random.Generator, day: Floats) -> Floats:
    at = rng.uniform(HISTORY + 60, DAYS - 120)
    return np.where((day > at)[:, np.newaxis], _weights(rng), _weights(rng))


def _several(rng: np.random.Generator, day: Floats) -> Floats:
    at = np.sort(rng.uniform(HISTORY, DAYS, size=7))
    return rng.normal(size=(8, INPUTS))[np.searchsorted(at, day)]


def _recurring(rng: np.random.Generator, day: Floats) -> Floats:
    return np.where((day // 90 % 2 == 1)[:, np.newaxis], _weights(rng), _weights(rng))


def _walking(rng: np.random.Generator, day: Floats) -> Floats:
    steps = rng.normal(size=(DAYS, INPUTS)) * 0.05
    return np.asarray((_weights(rng) + np.cumsum(steps, axis=0))[day.astype(int)])


def _weights(rng: np.random.Generator) -> Floats:
    return rng.normal(size=INPUTS)


WORLDS: Mapping[str, Draw] = MappingProxyType(
    {
        "still": _still,
        "slow": _slow,
        "sudden": _sudden,
        "several": _several,
        "recurring": _recurring,
        "walking": _walking,
    }
)
"""How the truth moves: not; evenly; once; at seven moments; to and fro every 90 days; by a small random step a day."""


def made_stream(world: str, seed: int, *, per_day: int = 24, classes: bool = False, delay: float = 1.0) -> TimedStream:
    """Two years of a made-up world, half a year of it to learn from first.

    Args:
        world: Name in ``WORLDS``.
        seed: Of everything that is drawn.
        per_day: Rows a day.
        classes: Whether the truth is 0 or 1, drawn with the chance that the line gives; else a number with noise 1.
        delay: After how many days the truth is known.
    """
    rng = np.random.default_rng([seed, list(WORLDS).index(world)])
    day = np.arange(DAYS * per_day) / per_day
    inputs = rng.normal(size=(day.size, INPUTS))
    line = (inputs * WORLDS[world](rng, day)).sum(axis=1)
    if classes:
        label = (rng.uniform(size=day.size) < 1 / (1 + np.exp(-2 * line))).astype(np.float64)
    else:
        label = line + rng.normal(size=day.size) + 5
    return TimedStream(
        name=f"{world}{', classes' if classes else ''} {seed}",
        day=day,
        inputs=inputs,
        label=label,
        learner=LogisticRegression if classes else Ridge,
        loss="squared_error" if classes else "absolute_error",
        delay_days=delay,
        history_days=HISTORY,
    )
