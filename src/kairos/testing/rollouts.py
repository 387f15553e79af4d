"""Made-up rollouts, many at a time: a ramp, traffic that swings or breaks down, and guards that depend on each other.

They are for showing the error rates of whoever decides about rollouts. Bad events of both versions are drawn tick by
tick; ``SimulatedRollouts.evidence`` gives what a decision is made from after any of them. A rollout is ever taken back
if it is at the look at which most speaks for that; ``ratio_path`` and ``rate_path`` find this look for thousands of
rollouts at once, and the decision itself has then to be asked for once a rollout.

    found = simulate(rng, busy=incidents(rng, 2000, 160), traffic=Traffic())
    look = int(found.ratio_path("errors", 1.0, HARM)[0].argmax())
    decide(policy, "canary", float(found.shares[look]), found.evidence(0, look))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln

from kairos.delivery.rollout.evidence import Guard, PairedLoss, RolloutEvidence

__all__ = ["RAMP", "SimulatedRollouts", "Traffic", "daily_swing", "incidents", "simulate", "steady"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

RAMP = ((0.01, 40), (0.05, 40), (0.25, 40), (0.5, 40))
"""Shares, and ticks at each."""

_START = datetime(2012, 1, 1, tzinfo=UTC)
_NESTED = {"slow_p95": 1.0, "slow_p99": 0.2, "timeouts": 0.3}
"""Every slow answer is beyond the 95 % quantile, a fifth of these beyond the 99 %, and so on."""

_PAIRED = ("errors", "impossible")
_GOOD = PairedLoss(pairs=1000, champion_mean=1.0, challenger_mean=0.9, lower=-0.2, upper=0.0, harm_log_e=-1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What is asked, and how often something goes wrong with the champion."""

    per_tick: int = 2_000
    """Requests."""
    tick: timedelta = timedelta(minutes=10)
    error_rate: float = 0.005
    """Of errors, and of impossible values."""
    slow_rate: float = 0.05
    """Of answers beyond the champion's 95 % quantile."""
    ratio: float = 1.0
    """How many times as often the challenger's answers go wrong."""


def steady(rng: np.random.Generator, runs: int, ticks: int) -> Floats:
    """Times that are all alike; shape (runs, ticks)."""
    return np.ones((runs, ticks))


def daily_swing(rng: np.random.Generator, runs: int, ticks: int) -> Floats:
    """Bad events come and go with the hour, three times as many by day as by night; shape (runs, ticks)."""
    phase = rng.uniform(0, 2 * np.pi, size=(runs, 1))
    return np.asarray(1 + 0.5 * np.sin(phase + np.arange(ticks) * 2 * np.pi / 144))


def incidents(rng: np.random.Generator, runs: int, ticks: int) -> Floats:
    """Now and then, for a while, all goes wrong eight times as often, with both versions; shape (runs, ticks)."""
    begins = rng.uniform(size=(runs, ticks)) < 0.02
    lasts = np.apply_along_axis(np.convolve, 1, begins.astype(np.float64), np.ones(6))[:, :ticks]
    return np.where(lasts > 0, 8.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRollouts:
    """What was counted in many rollouts, tick by tick. Arrays have shape (runs, ticks)."""

    shares: Floats
    """The design share at each tick, shape (ticks,)."""
    traffic: Traffic
    asked: tuple[Ints, Ints]
    """Requests by who was asked first: the challenger, the champion."""
    shared: dict[str, tuple[Ints, Ints]]
    """Bad events of the version that was asked first, by guard: the challenger's, the champion's."""
    pairs: dict[str, tuple[Ints, Ints]]
    """Requests on which only the challenger, or only the champion, had such an event."""
    own: dict[str, Ints]
    """The challenger's bad events among all requests (errors, impossible), or among those that it was asked for."""

    def evidence(self, run: int, look: int, **changes: Any) -> RolloutEvidence:
        """What is known of one rollout after the tick ``look``, all ticks before it included; labels say it is fine."""
        end = look + 1
        asked = {
            str(share): (int(self.asked[0][run, here].sum()), int(self.asked[1][run, here].sum()))
            for share, here in self._steps(end)
        }
        requests = end * self.traffic.per_tick
        given = {
            "as_of": _START + end * self.traffic.tick,
            "since": _START,
            "loss": _GOOD,
            "requests": requests,
            "pairs": requests,
            "asked": asked,
            "guards": tuple(self._guard(name, run, end) for name in self.shared),
        }
        return RolloutEvidence(**{**given, **changes})

    def _guard(self, name: str, run: int, end: int) -> Guard:
        mine, theirs = self.shared[name]
        is_paired = name in self.pairs
        predictions = end * self.traffic.per_tick if is_paired else int(self.asked[0][run, :end].sum())
        return Guard(
            name=name,
            what=name,
            by=("pairs", "shares") if is_paired else ("shares",),
            pairs=tuple(int(side[run, :end].sum()) for side in self.pairs[name]) if is_paired else (0, 0),  # type: ignore[arg-type]
            asked={
                str(share): (int(mine[run, here].sum()), int(theirs[run, here].sum()))
                for share, here in self._steps(end)
            },
            own=(int(self.own[name][run, :end].sum()), predictions),
            reference={"slow_p95": 0.05, "slow_p99": 0.01}.get(name, 0.0),
        )

    def _steps(self, end: int) -> Sequence[tuple[float, slice]]:
        """Each share so far, and its ticks."""
        known = self.shares[:end]
        edges = [0, *(int(i) + 1 for i in np.flatnonzero(np.diff(known))), end]
        return [(float(known[a]), slice(a, b)) for a, b in pairwise(edges)]

    def ratio_path(self, name: str, null: float, alternatives: Floats) -> list[Floats]:
        """For one guard, log e-values against "``null`` times as many" after every tick: by shares, and by pairs.

        The same as ``kairos.stats.badevents`` gives for the sums.
        """
        paths = [_mixture(*self.shared[name], self.shares, null, alternatives)]
        if name in self.pairs:
            paths.append(_mixture(*self.pairs[name], np.full(len(self.shares), 0.5), null, alternatives))
        return paths

    def rate_path(self, name: str, rate: float) -> Floats:
        """Log e-values against "the challenger's rate is at least this" after every tick, as ``rate_log_e`` gives."""
        bad = np.cumsum(self.own[name], axis=1)
        all_of = np.arange(1, len(self.shares) + 1) * self.traffic.per_tick
        n = np.broadcast_to(all_of, bad.shape) if name in self.pairs else np.cumsum(self.asked[0], axis=1)
        a, b = 2 * rate, 2 * (1 - rate)
        before, after = betainc(a, b, rate), betainc(a + bad, b + n - bad, rate)
        with np.errstate(divide="ignore"):
            mixture = betaln(a + bad, b + n - bad) - betaln(a, b) + np.log(after) - np.log(before)
        return np.asarray(mixture - bad * np.log(rate) - (n - bad) * np.log1p(-rate))


def simulate(
    rng: np.random.Generator,
    *,
    plan: Sequence[tuple[float, int]] = RAMP,
    traffic: Traffic,
    busy: Floats,
) -> SimulatedRollouts:
    """Draws rollouts.

    Args:
        rng: Where chance comes from.
        plan: Shares and ticks at each.
        traffic: What is asked, and what goes wrong.
        busy: By how much more than usual goes wrong with both versions, shape (runs, ticks).
    """
    shares = np.concatenate([np.full(ticks, share) for share, ticks in plan])
    asked = rng.binomial(traffic.per_tick, np.broadcast_to(shares, busy.shape))
    others = traffic.per_tick - asked
    slow = np.minimum(traffic.slow_rate * busy, 1.0)
    slowest = np.minimum(slow * traffic.ratio, 1.0)
    nested = (rng.binomial(asked, slowest), rng.binomial(others, slow))
    shared, pairs, own = {}, {}, {}
    for name, part in _NESTED.items():
        nested = nested if part == 1.0 else (rng.binomial(nested[0], part), rng.binomial(nested[1], part))
        shared[name], own[name] = nested, nested[0]
    for name in _PAIRED:
        rate = np.minimum(traffic.error_rate * busy, 0.5)
        mine = rng.binomial(traffic.per_tick, np.minimum(rate * traffic.ratio, 0.5))
        theirs = rng.binomial(traffic.per_tick, rate)
        pairs[name], own[name] = (mine, theirs), mine
        drawn = np.broadcast_to(shares, busy.shape)
        shared[name] = (rng.binomial(mine, drawn), rng.binomial(theirs, 1 - drawn))
    return SimulatedRollouts(shares=shares, traffic=traffic, asked=(asked, others), shared=shared, pairs=pairs, own=own)


def _mixture(mine: Ints, theirs: Ints, shares: Floats, null: float, alternatives: Floats) -> Floats:
    """Log of the mean likelihood ratio, from counts of each tick; shape (runs, ticks)."""

    def logs(ratio: float) -> Floats:
        total = ratio * shares + 1 - shares
        return np.asarray(mine * np.log(ratio * shares / total) + theirs * np.log((1 - shares) / total))

    base = logs(null)
    paths = [np.cumsum(logs(float(ratio)) - base, axis=1) for ratio in alternatives]
    return np.asarray(np.logaddexp.reduce(paths) - np.log(len(paths)))
