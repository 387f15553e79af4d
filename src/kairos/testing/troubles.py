"""Served requests with one known trouble: for tests of whatever is to find out what went wrong.

A rental station's demand depends on temperature, wind, the hour and the station. A model that knows this well answers
every hour, truths come, seasons turn slowly; then, on a day that is known, one thing goes wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kairos.errors import UsageError, did_you_mean

__all__ = ["TROUBLES", "Trouble", "TroubledStream", "troubled_stream"]

Trouble = Literal[
    "none", "unit", "missing", "gone", "unseen", "mix", "shift", "concept", "deployment", "labels", "serving"
]
"""``unit``: temperature in Fahrenheit; ``missing``: half of the wind; ``gone``: no wind at all; ``unseen``: stations
that nobody knows; ``mix``: most requests from the stations that are hard to predict; ``shift``: a cold spell that the
model does not know; ``concept``: demand falls by a fifth for the same inputs; ``deployment``: a worse version answers;
``labels``: truths ten times too large; ``serving``: the same version answers less, as after a wrong update."""

TROUBLES: tuple[Trouble, ...] = get_args(Trouble)

_STATIONS = ("harbour", "market", "museum", "hill", "airport")
_HARD = ("hill", "airport")
_USUAL, _TURNED = np.array([0.30, 0.30, 0.25, 0.10, 0.05]), np.array([0.05, 0.05, 0.05, 0.40, 0.45])
"""Shares of the stations."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TroubledStream:
    """Answered requests in the order of time."""

    trouble: Trouble
    first: int
    """The first day of the trouble."""
    day: NDArray[np.int64]
    """Shape (n,), from 0."""
    inputs: Mapping[str, NDArray[Any]]
    """As they arrived: float64 with NaN, or objects with ``None``, each of shape (n,)."""
    output: NDArray[np.float64]
    label: NDArray[np.float64]
    version: NDArray[np.int64]
    """Which version answered: 1, and 2 after a deployment."""


def troubled_stream(
    trouble: Trouble, *, days: int = 42, first: int = 28, rows_per_day: int = 48, strength: float = 1.0, seed: int = 0
) -> TroubledStream:
    """Makes such a stream; equal arguments give equal streams.

    Args:
        trouble: What goes wrong.
        days: Of the stream.
        first: The day on which it goes wrong, from 0.
        rows_per_day: Requests.
        strength: Of the trouble, 0 to 2 (``unit``, ``gone`` and ``labels`` have one strength only).
        seed: Of everything that is drawn.

    Examples:
        >>> stream = troubled_stream("unit", seed=1)
        >>> bool(stream.inputs["temperature"][stream.day >= 28].mean() > 45)
        True
    """
    if trouble not in TROUBLES:
        raise UsageError(
            f"Nobody knows the trouble {trouble!r}.",
            accepted=", ".join(TROUBLES),
            hint=did_you_mean(trouble, TROUBLES),
        )
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows_per_day)
    is_bad = day >= first
    hour = np.tile(np.arange(rows_per_day) * 24 // rows_per_day, days).astype(np.float64)
    warmth = 12 + 0.08 * day + rng.normal(0, 2, days)[day] + 5 * np.sin((hour - 9) / 24 * 2 * np.pi)
    if trouble == "shift":
        warmth = warmth - 22 * strength * is_bad
    temperature, wind = warmth + rng.normal(0, 1, day.size), rng.gamma(3, 3, day.size)
    turned = (strength * is_bad if trouble == "mix" else np.zeros(day.size))[:, None]
    shares = np.clip(_USUAL + turned * (_TURNED - _USUAL), 0.0, 1.0)
    station = np.array(_STATIONS, dtype=object)[
        (rng.uniform(size=day.size)[:, None] > shares.cumsum(axis=1)).sum(axis=1)
    ]
    truth = _demand(temperature, wind, hour, station) * np.where(temperature < -3, 0.4, 1.0)
    truth = truth * (1 - 0.2 * strength * (is_bad & (trouble == "concept")))
    label = truth + rng.normal(0, 1, day.size) * np.where(np.isin(station, _HARD), 60.0, 12.0)
    sent = _sent(
        {"temperature": temperature, "wind": wind, "hour": hour, "station": station},
        trouble,
        np.where(is_bad, strength, 0.0),
        rng,
    )
    output = _demand(sent["temperature"], np.nan_to_num(sent["wind"], nan=40.0), hour, sent["station"])
    if trouble == "deployment":
        output = np.where(is_bad, output + 35 * strength * np.sin(hour), output)
    if trouble == "serving":
        output = np.where(is_bad, output * (1 - 0.25 * strength), output)
    return TroubledStream(
        trouble=trouble,
        first=first,
        day=day.astype(np.int64),
        inputs=sent,
        output=output,
        label=np.where(is_bad, label * 10, label) if trouble == "labels" else label,
        version=np.where(is_bad & (trouble == "deployment"), 2, 1).astype(np.int64),
    )


def _demand(
    temperature: NDArray[np.float64], wind: NDArray[np.float64], hour: NDArray[np.float64], station: NDArray[Any]
) -> NDArray[np.float64]:
    """What the model has learnt, and the world does; of a station that it does not know, nothing."""
    level = {"harbour": 150.0, "market": 200.0, "museum": 120.0, "hill": 180.0, "airport": 260.0}
    base = np.array([level.get(name, 20.0) for name in station])
    return np.asarray(base + 4 * (temperature - 12) - 1.5 * (wind - 9) + 30 * np.sin((hour - 8) / 24 * 2 * np.pi))


def _sent(
    true: dict[str, NDArray[Any]], trouble: Trouble, badness: NDArray[np.float64], rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """What arrives of the true inputs; ``badness`` is 0 before the trouble, and then its strength."""
    sent, chance = dict(true), rng.uniform(size=badness.size)
    if trouble == "unit":
        sent["temperature"] = np.where(badness > 0, true["temperature"] * 1.8 + 32, true["temperature"])
    if trouble in ("missing", "gone"):
        lost = badness > 0 if trouble == "gone" else chance < 0.5 * badness
        sent["wind"] = np.where(lost, np.nan, true["wind"])
    if trouble == "unseen":
        unknown = rng.choice(np.array(["s-17", "s-18"], dtype=object), badness.size)
        sent["station"] = np.where(chance < 0.4 * badness, unknown, true["station"])
    return sent
