"""Streams to decide on: bounded values at a null, and differences of losses that depend on each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

__all__ = ["DRAWS", "DependentLosses", "Floats", "events"]

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]

DRAWS: dict[str, tuple[float, Draw]] = {
    "uniform": (1 / 2, lambda rng, shape: rng.uniform(size=shape)),
    "Beta(2, 10)": (1 / 6, lambda rng, shape: rng.beta(2, 10, size=shape)),
    "events, 1 %": (0.01, lambda rng, shape: events(rng, 0.01, shape)),
    "events, 5 %": (0.05, lambda rng, shape: events(rng, 0.05, shape)),
    "events, 50 %": (0.5, lambda rng, shape: events(rng, 0.5, shape)),
}
"""Name -> mean, and how to draw values in [0, 1] with that mean."""


def events(rng: np.random.Generator, rate: float, shape: tuple[int, int]) -> Floats:
    """Ones with chance ``rate``, zeros otherwise."""
    return np.asarray(rng.uniform(size=shape) < rate, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class DependentLosses:
    """Differences of losses, challenger minus champion, of mean 0; the unit is the champion's mean loss."""

    rows_per_day: int
    alike: float = 0.0
    """Correlation of each difference with the one before."""
    tail: str = "normal"
    """``normal``; ``t3`` is heavy; ``right`` and ``left`` are lognormal, skewed to that side; ``whole`` are differences
    of small counts; of ``zeros`` nine in ten are alike, and one is larger."""
    daily: float = 0.0
    """Height of a swing within the day."""
    weekly: float = 0.0
    """Height of a swing within the week."""
    day_shock: float = 0.0
    """Standard deviation of what all differences of a day have in common."""
    days_alike: float = 0.0
    """Correlation of that with the day before."""
    sd: float = 0.7
    """Standard deviation of a single difference."""

    def draw(self, rng: np.random.Generator, runs: int, days: int) -> Floats:
        """Differences of shape (runs, days, rows per day)."""
        n = days * self.rows_per_day
        noise = self._noise(rng, (runs, n + 200))
        x = self.sd * signal.lfilter([math.sqrt(1 - self.alike**2)], [1, -self.alike], noise)[:, 200:]
        day = np.arange(n) / self.rows_per_day
        begin = rng.uniform(size=(runs, 1))
        x = x + self.daily * np.sin(2 * np.pi * (day + begin)) + self.weekly * np.sin(2 * np.pi * (day / 7 + begin))
        shocks = signal.lfilter(
            [math.sqrt(1 - self.days_alike**2)], [1, -self.days_alike], rng.normal(size=(runs, days + 20))
        )[:, 20:]
        return np.asarray(x.reshape(runs, days, -1) + self.day_shock * shocks[:, :, np.newaxis])

    def _noise(self, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        """Mean 0, standard deviation 1."""
        if self.tail == "normal":
            return rng.normal(size=shape)
        if self.tail == "t3":
            return np.asarray(rng.standard_t(3, size=shape) / math.sqrt(3))
        if self.tail == "whole":
            return np.asarray(rng.poisson(0.5, size=shape) - rng.poisson(0.5, size=shape), dtype=np.float64)
        if self.tail == "zeros":
            return np.asarray(((rng.uniform(size=shape) < 0.1) * rng.exponential(size=shape) - 0.1) / math.sqrt(0.19))
        skewed = (np.exp(rng.normal(size=shape)) - math.exp(0.5)) / math.sqrt((math.e - 1) * math.e)
        return np.asarray(skewed if self.tail == "right" else -skewed)
